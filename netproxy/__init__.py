"""A userspace proxy for TCP and UDP: see contract.py for what it promises, addresses.py for how to open one."""
