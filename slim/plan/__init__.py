"""From proposals to a plan, and the plan applied to the members of a layer, in memory."""
