"""The outside world: processes, indexes, the store, keys. Protocol and real implementation share a file; fakes live with the tests."""
