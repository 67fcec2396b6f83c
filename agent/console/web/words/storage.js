// @ts-check
// Sentences about what the record takes of the disk.

export const STORAGE = /** @type {const} */ ({
  'lamp.storage.evidence-full': ['证据空间满', 'Evidence full'],
  'lamp.storage.evidence-full.long': ['保留证据的空间用完了（{count} 段，{bytes}），新的保留被拒绝，已保留的不会丢。', 'The room for evidence is used up ({count}, {bytes}); new holds are refused, those that are held stay.'],
  'lamp.storage.evidence-full.remedy': ['解除不再需要的保留，或请维护人员加大空间。', 'Release what is no longer needed, or have maintenance enlarge it.'],
  'lamp.storage.video-spots': ['录像有坏点', 'Video has bad spots'],
  'lamp.storage.video-spots.long': ['校验发现 {count} 小段录像已损坏，其余照常回放。', 'Checking found {count} short pieces of video damaged; the rest plays.'],
  'lamp.storage.video-spots.remedy': ['请维护人员检查数据盘。', 'Have maintenance check the data disk.'],
});
