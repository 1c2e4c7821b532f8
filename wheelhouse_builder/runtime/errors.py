"""Every way in which wheelhouse stops, on either side of the gap, each with its own exit code.

WheelhouseError
├── Defect                  1   an error in wheelhouse itself, that nobody foresaw
├── UsageError              2   the command line asks for something that cannot be
├── SpecError               3   wheelhouse.yaml, or a file that it names, is not as it must be
├── ResolutionError         4   a target has no solution
├── NoWheelError            5   a project has no wheel that a target accepts
├── IndexFailure            6   an index, or the way to it, failed
├── DistributionError       7   a distribution is not what its lock or specification says
├── RehearsalError          8   a target could not be installed from the chosen wheels
├── EnvironmentFailure      9   this host failed: disk, permissions, a missing tool
├── KeyFailure             10   a key is missing, or is not one
├── BundleRefused          11   the file is not a whole, well-formed bundle
├── SignatureRefused       12   no good signature by a trusted key
├── HostDoesNotFit         13   the bundle holds nothing for this host
├── InstallError           14   the installation failed and was undone
├── AlreadyThere           15   the destination exists
└── Interrupted           130   somebody pressed Ctrl-C, or the system asked us to end

0 is success. This file runs on the target too: standard library, Python 3.6.
"""


class WheelhouseError(Exception):
    """Something that a user can understand and mend.

    ``problems`` are one line each; ``hint`` says what to do next, or is empty.
    """

    exit_code = 1
    name = "internal"

    def __init__(self, *problems: str, hint: str = "") -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        self.hint = hint


class Defect(WheelhouseError):
    pass


class UsageError(WheelhouseError):
    exit_code = 2
    name = "usage"


class SpecError(WheelhouseError):
    exit_code = 3
    name = "spec"


class ResolutionError(WheelhouseError):
    exit_code = 4
    name = "resolution"


class NoWheelError(WheelhouseError):
    exit_code = 5
    name = "no-wheel"


class IndexFailure(WheelhouseError):
    exit_code = 6
    name = "index"


class DistributionError(WheelhouseError):
    exit_code = 7
    name = "distribution"


class RehearsalError(WheelhouseError):
    exit_code = 8
    name = "rehearsal"


class EnvironmentFailure(WheelhouseError):
    exit_code = 9
    name = "environment"


class KeyFailure(WheelhouseError):
    exit_code = 10
    name = "key"


class BundleRefused(WheelhouseError):
    exit_code = 11
    name = "bundle-refused"


class SignatureRefused(WheelhouseError):
    exit_code = 12
    name = "signature-refused"


class HostDoesNotFit(WheelhouseError):
    exit_code = 13
    name = "host-does-not-fit"


class InstallError(WheelhouseError):
    exit_code = 14
    name = "install"


class AlreadyThere(WheelhouseError):
    exit_code = 15
    name = "already-there"


class Interrupted(WheelhouseError):
    exit_code = 130
    name = "interrupted"
