// @ts-check
// What to do, by kind of alarm: the duty room's steps, in order. A step that
// begins with "!" is one that must not be done.

/** @type {Record<string, {zh: string[], en: string[]}>} */
export const STEPS = {
  smoke: {
    zh: ['打电话给住户，问清是否起火', '无人接听，请楼组长带钥匙上门', '确认起火：拨 119，再按“真警”', '!不要乘电梯，不要独自进入有烟房间'],
    en: ['Call the resident: is there a fire?', 'No answer: send the building warden with the key', 'Fire confirmed: dial 119, then press “Real”', '!No lift. Never enter a smoky room alone'],
  },
  gas: {
    zh: ['打电话给住户：关阀、开窗、人出来', '通知燃气公司抢修（962777）', '有人不适或浓度不降：拨 119、120', '!不要开关电器，不要在室内打电话'],
    en: ['Call the resident: close the valve, open windows, leave', 'Call the gas company’s emergency line (962777)', 'Somebody unwell, or gas remains: dial 119 and 120', '!No switches, no phone calls inside'],
  },
  water: {
    zh: ['打电话给住户，请关总阀', '无人应答，联系物业关楼层阀门', '查看楼下住户是否渗水', '!水漫到插座时不要进屋，先断电'],
    en: ['Call the resident: close the main valve', 'No answer: have the property office close the floor’s valve', 'Ask the flat below whether water comes through', '!Water at the sockets: power off before entering'],
  },
  sos: {
    zh: ['立即回拨，问清情况', '无人应答：请最近的人上门', '需要急救拨 120，遇险拨 110', '通知家属，守在电话旁'],
    en: ['Ring back at once and ask', 'No answer: send whoever is nearest', 'Medical: dial 120. Danger: dial 110', 'Tell the family; stay by the phone'],
  },
  manhole: {
    zh: ['看画面：井口是否敞开、有无行人', '叫人到现场围挡、立警示牌', '联系权属单位（水、电、通信）复位', '!不要徒手搬盖，不要下井'],
    en: ['Look: is the shaft open, are people near?', 'Send somebody to fence it off and put up a sign', 'Have the owner (water, power, telecom) close it', '!Do not lift the cover by hand; never climb down'],
  },
  door: {
    zh: ['看画面：是谁开的门', '联系门卫或物业确认', '有可疑人员：拨 110'],
    en: ['Look: who opened it?', 'Ask the guard or the property office', 'Somebody suspicious: dial 110'],
  },
  motion: {
    zh: ['看画面：有无人员进入', '联系就近人员查看', '有可疑人员：拨 110'],
    en: ['Look: did somebody enter?', 'Send whoever is nearest to check', 'Somebody suspicious: dial 110'],
  },
  temperature: {
    zh: ['看画面：有无冒烟、起火', '联系现场负责人查看设备', '确认起火：拨 119，再按“真警”'],
    en: ['Look: smoke or fire?', 'Have the person in charge check the equipment', 'Fire confirmed: dial 119, then press “Real”'],
  },
  level: {
    zh: ['看画面：积水到哪里', '叫人到现场拦行人和车辆', '通知排水或防汛值班', '!不要涉水查看井口'],
    en: ['Look: how far has the water come?', 'Send somebody to stop people and cars', 'Tell the drainage or flood duty', '!Do not wade to look for shafts'],
  },
  tamper: {
    zh: ['看画面：有无人动设备', '叫人到现场查看', '装回后报“测试”核对'],
    en: ['Look: is somebody at the device?', 'Send somebody to check', 'When put back, test it and press “Test”'],
  },
  battery: {
    zh: ['记下地点，安排今天换电池', '换好后按一下自检，报“测试”'],
    en: ['Note the place; have the battery changed today', 'Then press its self-test and answer “Test”'],
  },
  offline: {
    zh: ['先看是一个还是一片没有信号', '一片：检查网关的电源和网线', '一个：叫人查看电池和安装'],
    en: ['One sensor, or a whole area?', 'An area: check the gateway’s power and cable', 'One: have its battery and mounting checked'],
  },
  camera: {
    zh: ['检查摄像机的电源和网线', '提示密码不对：在“摄像机”里改密码', '今天修不好，安排人工巡看'],
    en: ['Check the camera’s power and cable', 'Password refused: correct it under “Cameras”', 'Cannot be mended today: have the place patrolled'],
  },
  disk: {
    zh: ['告警照常接收，录像会先让出空间', '通知维护人员：清理或更换数据盘'],
    en: ['Alarms still come in; video gives way first', 'Tell maintenance: clear or replace the data disk'],
  },
  store: {
    zh: ['数据已从备份恢复，最近的记录可能不全', '与中心核对今天的告警', '通知维护人员检查数据盘'],
    en: ['Data came back from a backup; the newest rows may lack', 'Compare today’s alarms with the centre', 'Have maintenance check the data disk'],
  },
  other: {
    zh: ['看画面，弄清发生了什么', '叫人到现场查看', '危及人身：拨 110、119 或 120'],
    en: ['Look: what is happening?', 'Send somebody to check', 'People in danger: dial 110, 119 or 120'],
  },
};
