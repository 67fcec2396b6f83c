// @ts-check
// Words of walls, tours, the camera page, and who may see a camera.

export const WALL = /** @type {const} */ ({
  'problem.camera.restricted': ['这台摄像机不向你的账号开放', 'This camera is not for your account to see'],
  'problem.camera.restricted.hint': ['请管理员在摄像机设置里开放。', 'An administrator can open it in the camera’s settings.'],
  'problem.camera.roles': ['谁能看这台摄像机，由管理员决定', 'Who may see this camera is for an administrator to decide'],
  'problem.camera.roles.hint': ['请管理员修改。', 'Ask an administrator.'],
  'views.unseen': ['另有 {n} 台摄像机拍到，你无权查看', '{n} more cameras see it that you may not see'],
});
