"""The virtual machine: programs over public, private and secret tensors.

ir.py          typed SSA programs: blocks, equations, bytes, hash
printer.py     the printed form;  parser.py reads it
check.py       what a legal program is; agents check whatever they receive
ops/           one class an operation: types, meaning in the clear, meaning on shares
clear.py       real functions in the clear, equal on all machines
ranges.py      provable intervals, which make comparisons and approximations cheaper; interval*.py say how they follow
overflow.py    where values may leave what the ring holds
visibility.py  where private values are shared: the cut with the fewest elements
values.py      public, private and secret values at run time
machine.py     runs a program over any protocol
lower/         the driver's side: JAX functions to programs (the only part that imports JAX)
"""
