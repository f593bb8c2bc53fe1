; the same number would have two forms
.constants
  k0: 9223372036854775807u
