; what is neither an integer of 64 bits nor a double
.constants
  k0: decimal "18446744073709551616"
  k1: decimal "-1e400"
  k2: decimal "0.1000000000000000055"
  k3: decimal "1E+9223372036854775807"
