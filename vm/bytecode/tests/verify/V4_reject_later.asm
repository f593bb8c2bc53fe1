; an item behind its collection
.constants
  k0: {"a": k1}
  k1: null
