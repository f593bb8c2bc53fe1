; two members of one key
.constants
  k0: null
  k1: {"a": k0, "a": k0}
