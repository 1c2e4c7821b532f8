"""wheelhouse: Python software across an air gap, in one signed file.

::

    wheelhouse.yaml ──read──▶ Spec ──┐
                                     ├─resolve▶ Lock ─fetch▶ Wheel ──────────────────────▶ Wheel ─rehearse─▶ Plan ─pack▶ Bundle, signed
    targets (Python × platform) ─────┘  (one per target)   └▶ Sdist ─build▶ ─repair▶ Wheel ───┘
                                                                 ▲             (all in the Store)
                                                              recipes

                    ═══ air gap ═══

    Bundle ─verify▶ VerifiedBundle ─unpack▶ wheelhouse directory ─install▶ environment

Stages are verbs, values are nouns. Each stage is a function in the module of its name, :mod:`~wheelhouse_builder.pipeline` calls
them in this order, and everything after the gap lives in :mod:`~wheelhouse_builder.runtime`, which travels inside each bundle.
"""

__version__ = "0.1.0"
