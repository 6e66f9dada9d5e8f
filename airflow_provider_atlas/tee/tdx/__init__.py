"""Intel TDX: the layout of its quotes."""
