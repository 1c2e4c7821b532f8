"""The errors of both sides, under the name that the connected side uses.

They are drawn, with their exit codes, in :mod:`wheelhouse_builder.runtime.errors`, because the far side needs them too.
"""

from wheelhouse_builder.runtime.errors import (
    AlreadyThere,
    BundleRefused,
    Defect,
    DistributionError,
    EnvironmentFailure,
    HostDoesNotFit,
    IndexFailure,
    InstallError,
    Interrupted,
    KeyFailure,
    NoWheelError,
    RehearsalError,
    ResolutionError,
    SignatureRefused,
    SpecError,
    UsageError,
    WheelhouseError,
)

__all__ = [
    "AlreadyThere",
    "BundleRefused",
    "Defect",
    "DistributionError",
    "EnvironmentFailure",
    "HostDoesNotFit",
    "IndexFailure",
    "InstallError",
    "Interrupted",
    "KeyFailure",
    "NoWheelError",
    "RehearsalError",
    "ResolutionError",
    "SignatureRefused",
    "SpecError",
    "UsageError",
    "WheelhouseError",
]
