"""The rehearsal: before anything is packed, prove that each target can be installed from the chosen wheels alone.

On paper for every target (:mod:`~wheelhouse_builder.rehearse.paper`), and by running for those that run here
(:mod:`~wheelhouse_builder.rehearse.run`): the real installation, without a network, and then each module is imported.
"""

from wheelhouse_builder.rehearse.paper import rehearse, with_overridden
from wheelhouse_builder.rehearse.run import Rehearsed, rehearse_by_running

__all__ = ["Rehearsed", "rehearse", "rehearse_by_running", "with_overridden"]
