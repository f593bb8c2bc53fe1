; a rule between two policies
.function fn0
    ret_true
.rules
  rule0: policy0 deny fn0
  rule1: policy0 deny fn0
  rule2: policy1 deny fn0
.policies
  policy0: rule0+1
  policy1: rule2+1
