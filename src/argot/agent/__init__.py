"""The agent: the process that holds one party's data, keys and shares, and decides what it takes part in.

wire         what agents and drivers say to each other
server       the event loop
nodes        the life of a node: admission, policy, inputs, agreement, run
ops/         what a node can do, a file each
lane, rendezvous, early, job, store, context     the state of it
policy       what this agent agrees to
journal      what was opened, append-only
failures     what crosses of an error
saved        secrets at rest
embedded, deployed     the two ways to start
"""
