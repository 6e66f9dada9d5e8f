"""The composition root: settings → parts. The only room that knows the backends; a URI's scheme picks one."""
