; a sum that does not fit 32 bits
.function fn0
    ret_true
.rules
  rule0: policy0 deny fn0
.policies
  policy0: rule0+4294967295
