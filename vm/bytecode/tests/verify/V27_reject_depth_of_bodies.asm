; 257 levels of bodies
.memo_cells 4
.fields
  f0: a
  f1: b
.constants
  k0: 1
  k1: "text"
  k2: [k0]
.patterns
  x0: /a/ source "test"
.predicates
  p0: f0 any q256 memo m0
.bodies
  q0:
    test item exists
  q1:
    test item any q0
  q2:
    test item any q1
  q3:
    test item any q2
  q4:
    test item any q3
  q5:
    test item any q4
  q6:
    test item any q5
  q7:
    test item any q6
  q8:
    test item any q7
  q9:
    test item any q8
  q10:
    test item any q9
  q11:
    test item any q10
  q12:
    test item any q11
  q13:
    test item any q12
  q14:
    test item any q13
  q15:
    test item any q14
  q16:
    test item any q15
  q17:
    test item any q16
  q18:
    test item any q17
  q19:
    test item any q18
  q20:
    test item any q19
  q21:
    test item any q20
  q22:
    test item any q21
  q23:
    test item any q22
  q24:
    test item any q23
  q25:
    test item any q24
  q26:
    test item any q25
  q27:
    test item any q26
  q28:
    test item any q27
  q29:
    test item any q28
  q30:
    test item any q29
  q31:
    test item any q30
  q32:
    test item any q31
  q33:
    test item any q32
  q34:
    test item any q33
  q35:
    test item any q34
  q36:
    test item any q35
  q37:
    test item any q36
  q38:
    test item any q37
  q39:
    test item any q38
  q40:
    test item any q39
  q41:
    test item any q40
  q42:
    test item any q41
  q43:
    test item any q42
  q44:
    test item any q43
  q45:
    test item any q44
  q46:
    test item any q45
  q47:
    test item any q46
  q48:
    test item any q47
  q49:
    test item any q48
  q50:
    test item any q49
  q51:
    test item any q50
  q52:
    test item any q51
  q53:
    test item any q52
  q54:
    test item any q53
  q55:
    test item any q54
  q56:
    test item any q55
  q57:
    test item any q56
  q58:
    test item any q57
  q59:
    test item any q58
  q60:
    test item any q59
  q61:
    test item any q60
  q62:
    test item any q61
  q63:
    test item any q62
  q64:
    test item any q63
  q65:
    test item any q64
  q66:
    test item any q65
  q67:
    test item any q66
  q68:
    test item any q67
  q69:
    test item any q68
  q70:
    test item any q69
  q71:
    test item any q70
  q72:
    test item any q71
  q73:
    test item any q72
  q74:
    test item any q73
  q75:
    test item any q74
  q76:
    test item any q75
  q77:
    test item any q76
  q78:
    test item any q77
  q79:
    test item any q78
  q80:
    test item any q79
  q81:
    test item any q80
  q82:
    test item any q81
  q83:
    test item any q82
  q84:
    test item any q83
  q85:
    test item any q84
  q86:
    test item any q85
  q87:
    test item any q86
  q88:
    test item any q87
  q89:
    test item any q88
  q90:
    test item any q89
  q91:
    test item any q90
  q92:
    test item any q91
  q93:
    test item any q92
  q94:
    test item any q93
  q95:
    test item any q94
  q96:
    test item any q95
  q97:
    test item any q96
  q98:
    test item any q97
  q99:
    test item any q98
  q100:
    test item any q99
  q101:
    test item any q100
  q102:
    test item any q101
  q103:
    test item any q102
  q104:
    test item any q103
  q105:
    test item any q104
  q106:
    test item any q105
  q107:
    test item any q106
  q108:
    test item any q107
  q109:
    test item any q108
  q110:
    test item any q109
  q111:
    test item any q110
  q112:
    test item any q111
  q113:
    test item any q112
  q114:
    test item any q113
  q115:
    test item any q114
  q116:
    test item any q115
  q117:
    test item any q116
  q118:
    test item any q117
  q119:
    test item any q118
  q120:
    test item any q119
  q121:
    test item any q120
  q122:
    test item any q121
  q123:
    test item any q122
  q124:
    test item any q123
  q125:
    test item any q124
  q126:
    test item any q125
  q127:
    test item any q126
  q128:
    test item any q127
  q129:
    test item any q128
  q130:
    test item any q129
  q131:
    test item any q130
  q132:
    test item any q131
  q133:
    test item any q132
  q134:
    test item any q133
  q135:
    test item any q134
  q136:
    test item any q135
  q137:
    test item any q136
  q138:
    test item any q137
  q139:
    test item any q138
  q140:
    test item any q139
  q141:
    test item any q140
  q142:
    test item any q141
  q143:
    test item any q142
  q144:
    test item any q143
  q145:
    test item any q144
  q146:
    test item any q145
  q147:
    test item any q146
  q148:
    test item any q147
  q149:
    test item any q148
  q150:
    test item any q149
  q151:
    test item any q150
  q152:
    test item any q151
  q153:
    test item any q152
  q154:
    test item any q153
  q155:
    test item any q154
  q156:
    test item any q155
  q157:
    test item any q156
  q158:
    test item any q157
  q159:
    test item any q158
  q160:
    test item any q159
  q161:
    test item any q160
  q162:
    test item any q161
  q163:
    test item any q162
  q164:
    test item any q163
  q165:
    test item any q164
  q166:
    test item any q165
  q167:
    test item any q166
  q168:
    test item any q167
  q169:
    test item any q168
  q170:
    test item any q169
  q171:
    test item any q170
  q172:
    test item any q171
  q173:
    test item any q172
  q174:
    test item any q173
  q175:
    test item any q174
  q176:
    test item any q175
  q177:
    test item any q176
  q178:
    test item any q177
  q179:
    test item any q178
  q180:
    test item any q179
  q181:
    test item any q180
  q182:
    test item any q181
  q183:
    test item any q182
  q184:
    test item any q183
  q185:
    test item any q184
  q186:
    test item any q185
  q187:
    test item any q186
  q188:
    test item any q187
  q189:
    test item any q188
  q190:
    test item any q189
  q191:
    test item any q190
  q192:
    test item any q191
  q193:
    test item any q192
  q194:
    test item any q193
  q195:
    test item any q194
  q196:
    test item any q195
  q197:
    test item any q196
  q198:
    test item any q197
  q199:
    test item any q198
  q200:
    test item any q199
  q201:
    test item any q200
  q202:
    test item any q201
  q203:
    test item any q202
  q204:
    test item any q203
  q205:
    test item any q204
  q206:
    test item any q205
  q207:
    test item any q206
  q208:
    test item any q207
  q209:
    test item any q208
  q210:
    test item any q209
  q211:
    test item any q210
  q212:
    test item any q211
  q213:
    test item any q212
  q214:
    test item any q213
  q215:
    test item any q214
  q216:
    test item any q215
  q217:
    test item any q216
  q218:
    test item any q217
  q219:
    test item any q218
  q220:
    test item any q219
  q221:
    test item any q220
  q222:
    test item any q221
  q223:
    test item any q222
  q224:
    test item any q223
  q225:
    test item any q224
  q226:
    test item any q225
  q227:
    test item any q226
  q228:
    test item any q227
  q229:
    test item any q228
  q230:
    test item any q229
  q231:
    test item any q230
  q232:
    test item any q231
  q233:
    test item any q232
  q234:
    test item any q233
  q235:
    test item any q234
  q236:
    test item any q235
  q237:
    test item any q236
  q238:
    test item any q237
  q239:
    test item any q238
  q240:
    test item any q239
  q241:
    test item any q240
  q242:
    test item any q241
  q243:
    test item any q242
  q244:
    test item any q243
  q245:
    test item any q244
  q246:
    test item any q245
  q247:
    test item any q246
  q248:
    test item any q247
  q249:
    test item any q248
  q250:
    test item any q249
  q251:
    test item any q250
  q252:
    test item any q251
  q253:
    test item any q252
  q254:
    test item any q253
  q255:
    test item any q254
  q256:
    test item any q255
