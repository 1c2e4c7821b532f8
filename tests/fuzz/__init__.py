"""Fuzzing: every parser that touches bytes from outside gets bytes that nobody wrote, and may answer only as it promised.

``parsers`` has one function for each, which feeds it and checks what must hold of the answer. ``corpus/`` holds inputs that reach far
into each of them: ``test_corpus`` plays these, and mutants of them, on every run of the tests. ``make fuzz`` runs atheris for as long
as you like:

    make fuzz MINUTES=10                    each parser for ten minutes
    python -m tests.fuzz skeleton frame     some of them, for one minute each
    python -m tests.fuzz --write-seeds      writes the inputs of corpus/ that are named seed-… anew
"""
