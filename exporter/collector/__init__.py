"""The loop that polls: one supervised task per hub runs sweeps on a schedule."""
