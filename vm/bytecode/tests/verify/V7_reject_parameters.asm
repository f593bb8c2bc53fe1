; nobody passes arguments to a condition
.function fn0 params=1 registers=1
    ret_true
.rules
  rule0: policy0 deny fn0
.policies
  policy0: rule0+1
