; keys that descend
.constants
  k0: null
  k1: {"b": k0, "a": k0}
