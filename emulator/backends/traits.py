"""What a storage provider makes of what happens to instances."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """
    What a provider makes of what happens to instances.

    `continued_keeps_created`: a new generation of an eternal orchestration keeps its createdTime.
    `children_shown_at_once`: rows of sub-orchestrations and entities are there, Pending, before
    they have run. `never_updated`: what has not run was last updated in the year 1.
    `reasons_in_output`: the output of a suspended or resumed instance is the reason.
    `rewinds`: a failed instance can be rewound.
    """

    continued_keeps_created: bool = False
    children_shown_at_once: bool = False
    never_updated: bool = False
    reasons_in_output: bool = True
    rewinds: bool = True
