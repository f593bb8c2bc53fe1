; a condition that does not exist
.function fn0
    ret_true
.rules
  rule0: policy0 deny fn1
.policies
  policy0: rule0+1
