package gb26875

import (
	"fmt"

	"stationd/agent/station"
)

// systemName is a system of the building in words (table 4).
func systemName(kind, address byte) string {
	names := map[byte]string{
		0: "通用系统", 1: "火灾报警系统", 10: "消防联动控制器", 11: "消火栓系统", 12: "自动喷水灭火系统", 13: "气体灭火系统",
		14: "水喷雾灭火系统", 15: "水喷雾灭火系统", 16: "泡沫灭火系统", 17: "干粉灭火系统", 18: "防烟排烟系统", 19: "防火门及卷帘系统",
		20: "消防电梯", 21: "消防应急广播", 22: "消防应急照明和疏散指示系统", 23: "消防电源", 24: "消防电话",
	}
	name := names[kind]
	if name == "" {
		name = fmt.Sprintf("系统类型 %d", kind)
	}
	return fmt.Sprintf("%s %d", name, address)
}

// partName is what kind of part it is (table 5).
func partName(kind byte) string {
	names := map[byte]string{
		0: "通用部件", 1: "火灾报警控制器", 10: "可燃气体探测器", 11: "点型可燃气体探测器", 12: "独立式可燃气体探测器", 13: "线型可燃气体探测器",
		16: "电气火灾监控报警器", 17: "剩余电流式电气火灾监控探测器", 18: "测温式电气火灾监控探测器", 21: "探测回路", 22: "火灾显示盘",
		23: "手动火灾报警按钮", 24: "消火栓按钮", 25: "火灾探测器", 30: "感温火灾探测器", 31: "点型感温火灾探测器",
		32: "点型感温火灾探测器(S型)", 33: "点型感温火灾探测器(R型)", 34: "线型感温火灾探测器", 35: "线型感温火灾探测器(S型)",
		36: "线型感温火灾探测器(R型)", 37: "光纤感温火灾探测器", 40: "感烟火灾探测器", 41: "点型离子感烟火灾探测器",
		42: "点型光电感烟火灾探测器", 43: "线型光束感烟火灾探测器", 44: "吸气式感烟火灾探测器", 50: "复合式火灾探测器",
		51: "复合式感烟感温火灾探测器", 52: "复合式感光感温火灾探测器", 53: "复合式感光感烟火灾探测器", 61: "紫外火焰探测器",
		62: "红外火焰探测器", 69: "感光火灾探测器", 74: "气体探测器", 78: "图像摄像方式火灾探测器", 79: "感声火灾探测器",
		81: "气体灭火控制器", 82: "消防电气控制装置", 83: "消防控制室图形显示装置", 84: "模块", 85: "输入模块", 86: "输出模块",
		87: "输入/输出模块", 88: "中继模块", 91: "消防水泵", 92: "消防水箱", 95: "喷淋泵", 96: "水流指示器", 97: "信号阀",
		98: "报警阀", 99: "压力开关", 101: "阀驱动装置", 102: "防火门", 103: "防火阀", 104: "通风空调", 105: "泡沫液泵",
		106: "管网电磁阀", 111: "防烟排烟风机", 113: "排烟防火阀", 114: "常闭送风口", 115: "排烟口", 116: "电控挡烟垂壁",
		117: "防火卷帘控制器", 118: "防火门监控器", 121: "警报装置",
	}
	if name := names[kind]; name != "" {
		return name
	}
	return fmt.Sprintf("部件类型 %d", kind)
}

// partClass is the device class of a part. Whatever is not a gas detector may
// report fire, an input module no less than a detector.
func partClass(kind byte) string {
	if kind >= 10 && kind <= 13 || kind == 74 {
		return station.ClassGas
	}
	return station.ClassSmoke
}

// The bits of a state. Bit 0 is not among them, see the package comment.
var (
	systemBits = [...]string{
		1: fire, 2: "fault", 3: "shielded", 4: "supervised", 5: "started", 6: "feedback", 7: "delayed",
		8: "main_power_fault", 9: "backup_power_fault", 10: "bus_fault", 11: "manual", 12: "configuration_changed", 13: "reset",
	}
	partBits = [...]string{1: fire, 2: "fault", 3: "shielded", 4: "supervised", 5: "started", 6: "feedback", 7: "delayed", 8: "power_fault"}
	unitBits = [...]string{1: fire, 2: "fault", 3: "main_power_fault", 4: "backup_power_fault", 5: "channel_fault", 6: "line_fault"}
)

// fire stands for the alarming field of the class.
const fire = "\x00fire"

// The bits of an operation, of a system and of a unit.
var (
	systemOperations = [...]string{"reset", "mute", "manual_alarm", "alarm_cleared", "self_test", "confirm", "test"}
	unitOperations   = [...]string{"reset", "mute", "manual_alarm", "alarm_cleared", "self_test", "duty_answer", "test"}
)

// manualAlarm is the bit of an operation by which people report a fire.
const manualAlarm = 1 << 2

// quantity is what an analogue value is (table 6).
type quantity struct {
	field string
	scale float64
}

func quantityOf(kind byte) quantity {
	switch kind {
	case 1:
		return quantity{"event_count", 1}
	case 2:
		return quantity{station.ClassLevel, 0.01} // metres
	case 3:
		return quantity{station.ClassTemperature, 0.1} // °C
	case 4:
		return quantity{"pressure", 100} // kPa; sent in 0.1 MPa
	case 5:
		return quantity{"pressure", 0.1} // kPa
	case 6:
		return quantity{"gas_concentration", 0.1} // % of the lower explosive limit
	case 7:
		return quantity{"seconds", 1}
	case 8:
		return quantity{"voltage", 0.1} // V
	case 9:
		return quantity{"current", 0.1} // A
	case 10:
		return quantity{"flow", 0.1} // l/s
	case 11:
		return quantity{"air_flow", 0.1} // m³/min
	case 12:
		return quantity{"air_speed", 1} // m/s
	}
	return quantity{fmt.Sprintf("analogue_%d", kind), 1}
}
