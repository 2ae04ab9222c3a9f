"""Worlds: what answers in closed loop. `city` is simulated traffic with cameras, `replay` a real log's tracks and map.

    observation = world.reset(scenario)
    while not world.ended:
        observation = world.step(policy.plan(observation))
    world.drive()  # what was driven, with the truth

The same scenario, the same seed and the same policy give the same drive.
"""
