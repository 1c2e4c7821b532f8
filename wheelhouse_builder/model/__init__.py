"""The nouns: frozen values, born valid, that know nothing of files, networks or processes."""
