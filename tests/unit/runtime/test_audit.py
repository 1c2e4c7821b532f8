"""The paths of RECORD are read in their shortest form."""

from __future__ import annotations

import posixpath
from itertools import product

from wheelhouse_builder.runtime.audit import rows_of


def test_each_path_is_the_one_that_it_leads_to() -> None:
    paths = ["".join(parts) for length in range(1, 7) for parts in product("a./", repeat=length)]
    content = "".join(f"{path},,\n" for path in paths).encode()
    found = [row.path for row in rows_of(content, "lib/site-packages/demo-1.0.dist-info/RECORD")]
    assert found == [posixpath.normpath(posixpath.join("lib/site-packages", path)) for path in paths]
