; items stand before their collections
.constants
  k0: 1
  k1: "a"
  k2: [k0, k1, k0]
  k3: {"": k2, "a": k0, "b": k0}
  k4: []
  k5: {}
