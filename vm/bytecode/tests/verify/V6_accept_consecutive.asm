; three policies, one of them without rules
.function fn0
    ret_true
.rules
  rule0: policy0 deny fn0 fires_on_error
  rule1: policy0 allow fn0
  rule2: policy2 warn fn0
.policies
  policy0: rule0+2
  policy1: rule2+0
  policy2: rule2+1
