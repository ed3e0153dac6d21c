// All words that the script writes into the figure. {…} is filled in.

export const WORDS = {
  labels: { en: "training labels", zh: "训练标签" },
  show: { en: "show", zh: "显示" },
  training: { en: "training", zh: "训练" },
  asItRan: { en: "training, as it ran", zh: "训练（边训边测）" },
  validation: { en: "validation", zh: "验证" },
  epoch: { en: "epoch", zh: "轮" },
  inEpoch: { en: "epoch {n}", zh: "第 {n} 轮" },
  overEpochs: { en: "{metric} over epochs", zh: "{metric}，随轮数变化" },
  afterTraining: { en: "{metric} after training", zh: "{metric}，训练结束时" },
  map: { en: "validation {metric} after training", zh: "验证{metric}，训练结束时" },
  best: { en: "Best validation {metric}: {value} at {setting}.", zh: "最好的验证{metric}为 {value}（{setting}）。" },
  weights: { en: "weights", zh: "权重" },
  layers: { en: "weights, layer by layer", zh: "各层权重" },
  layer: { en: "layer {i}", zh: "第 {i} 层" },
  reference: { en: "outline: {setting}", zh: "轮廓线：{setting}" },
  diverged: { en: "diverged", zh: "发散" },
  ofSeeds: { en: "{n} of {seeds} seeds", zh: "{seeds} 个随机种子中有 {n} 个" },
  test: { en: "Open the test set", zh: "打开测试集" },
  cost: {
    en: "Choose first: once you have seen these numbers, you can no longer choose by them honestly.",
    zh: "请先选定再打开：看过这些数值之后，就不能再凭它们来公正地做选择了。",
  },
  keep: { en: "Keep these curves", zh: "保留这组曲线" },
  clear: { en: "Clear kept curves", zh: "清除保留的曲线" },
  missing: { en: "not trained", zh: "未训练" },
};

export const fill = (words, values) => words.replace(/\{(\w+)\}/g, (_, name) => values[name]);
