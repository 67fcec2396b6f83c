package station

// Words are what the kind is called where no console translates it: in a message
// to a telephone. A kind that is not known is called an alarm.
func (k AlarmKind) Words() (zh, en string) {
	switch k {
	case KindSmoke:
		return "烟感报警", "Smoke alarm"
	case KindGas:
		return "燃气报警", "Gas alarm"
	case KindWater:
		return "漏水", "Water leak"
	case KindSOS:
		return "求助", "Call for help"
	case KindManhole:
		return "井盖异动", "Manhole cover moved"
	case KindDoor:
		return "门被打开", "Door opened"
	case KindMotion:
		return "有人进入", "Somebody entered"
	case KindTemperature:
		return "温度异常", "Temperature"
	case KindLevel:
		return "水位过高", "High water"
	case KindTamper:
		return "设备被动", "Device tampered"
	case KindBattery:
		return "电量不足", "Battery low"
	case KindOffline:
		return "传感器没有信号", "Sensor silent"
	case KindDisk:
		return "存储不足", "Storage low"
	case KindStore:
		return "数据已恢复", "Data restored"
	case KindSound:
		return "值守电脑没有声音", "No sound at the desk"
	case KindStation:
		return "站点失联", "Station lost"
	}
	return "告警", "Alarm"
}
