using System.Globalization;
using System.Text;

namespace AnomalyDetection;

/// <summary>
/// Thirty days in the life of a water pump, one reading every ten minutes, with faults that are written down.
/// <para>
/// A speed-controlled centrifugal pump follows the town's demand: two peaks a day, quieter at weekends. Flow is where
/// the pump's curve (head falls with the square of the flow, and follows the square of the speed) meets the pipe's;
/// current follows from hydraulic power and an efficiency that is best near the design flow; vibration rises away from
/// that point; the two temperatures lag behind the losses that heat them and follow the air in the pump house.
/// Every sensor adds its own noise.
/// </para>
/// <para>
/// So the eight readings are tied to each other, while each of them alone wanders over a wide range every day. The
/// faults break the ties, and seldom leave the range: that is why a limit on each sensor misses most of them.
/// </para>
/// <list type="table">
/// <item><term>bearing wear</term><description>more vibration than the speed explains; a warmer bearing</description></item>
/// <item><term>cavitation</term><description>suction pressure too low; flow flutters, vibration rises</description></item>
/// <item><term>blocked filter</term><description>a resistance before the pump: less flow, suction, current</description></item>
/// <item><term>internal leak</term><description>water runs back: less flow and pressure for the current</description></item>
/// <item><term>sensor drift</term><description>the pump is well; the motor's thermometer reads too low</description></item>
/// </list>
/// Each fault comes four times, for one and a half to three hours, and grows while it lasts. Numbers are plausible for
/// such a pump, no more than that. The same seed writes the same file on every machine of the same kind.
/// </summary>
internal sealed class PumpSimulation(int seed)
{
    public const string Label = "fault";

    private const int Days = 30;
    private const int ReadingsPerDay = 144;
    private const int EpisodesOfEachFault = 4;
    private const double DesignFlow = 90; // m³/h at full speed

    private static readonly string[] Faults =
        ["bearing wear", "cavitation", "blocked filter", "internal leak", "sensor drift"];

    private readonly Random _random = new(seed); // a seeded Random gives the same numbers in every version of .NET
    private double _demandDrift, _bearingHeat, _motorHeat;

    /// <summary>Writes the simulated readings to <paramref name="path"/> as CSV with a header.</summary>
    public void Write(string path)
    {
        (string Fault, double Severity)[] condition = PlanFaults();
        var text = new StringBuilder(
            "time,speed_rpm,flow_m3h,suction_bar,discharge_bar,current_a,vibration_mm_s,bearing_c,motor_c,fault\n");
        for (int i = 0; i < ReadingsPerDay; i++)
            Read(i, "none", 0); // a day that is not written: the temperatures must find their level first
        for (int i = 0; i < condition.Length; i++)
        {
            double[] r = Read(i, condition[i].Fault, condition[i].Severity);
            DateTime time = new DateTime(2026, 3, 2).AddMinutes(10 * i);
            text.Append(CultureInfo.InvariantCulture, $"{time:yyyy-MM-ddTHH:mm},");
            text.Append(CultureInfo.InvariantCulture, $"{r[0]:F0},{r[1]:F2},{r[2]:F3},{r[3]:F3},{r[4]:F2},{r[5]:F3},");
            text.Append(CultureInfo.InvariantCulture, $"{r[6]:F2},{r[7]:F2},{condition[i].Fault}\n");
        }
        File.WriteAllText(path, text.ToString());
    }

    /// <summary>Places the episodes in shuffled order over the month, each somewhere in its own share of it.</summary>
    private (string Fault, double Severity)[] PlanFaults()
    {
        var condition = new (string, double)[Days * ReadingsPerDay];
        Array.Fill(condition, ("none", 0));
        string[] episodes = [.. Enumerable.Repeat(Faults, EpisodesOfEachFault).SelectMany(faults => faults)];
        _random.Shuffle(episodes);

        int share = condition.Length / episodes.Length;
        for (int e = 0; e < episodes.Length; e++)
        {
            int length = _random.Next(8, 17);
            int start = e * share + _random.Next(share - length);
            for (int i = 0; i < length; i++)
                condition[start + i] = (episodes[e], 0.5 + 0.5 * (i + 1) / length);
        }
        return condition;
    }

    /// <summary>One reading: speed, flow, suction, discharge, current, vibration, bearing and motor heat.</summary>
    private double[] Read(int i, string fault, double severity)
    {
        double Severity(string of) => fault == of ? severity : 0;
        double wear = Severity("bearing wear"), cavitation = Severity("cavitation");
        double blocked = Severity("blocked filter"), leak = Severity("internal leak"), drift = Severity("sensor drift");

        // What the town wants, and the speed (as a share of 2950 rpm) that the controller answers with.
        double hour = i % ReadingsPerDay / 6.0, day = i / (double)ReadingsPerDay;
        bool weekend = i / ReadingsPerDay % 7 >= 5;
        _demandDrift = 0.95 * _demandDrift + Noise(0.012);
        double peaks = Peak(hour, weekend ? 10 : 7.5, 2.0) + 0.8 * Peak(hour, 19, 2.5);
        double speed = Math.Clamp(0.68 + (weekend ? 0.20 : 0.25) * peaks + _demandDrift, 0.6, 1);

        // Hydraulics: head in metres, flow in m³/h. The pump gives 42 n² − 0.0016 Q², the pipe takes 9 + 0.0021 Q².
        double clog = 0.0006 * blocked;
        double flow = Math.Sqrt((42 * speed * speed - 9) / (0.0016 + 0.0021 + clog));
        double head = 42 * speed * speed - 0.0016 * flow * flow;
        double tank = 0.62 + 0.10 * Math.Sin(2 * Math.PI * day / 3.7);
        double suction = tank - (0.000020 + clog / 10.2) * flow * flow - 0.16 * cavitation;
        double discharge = suction + head / 10.2 * (1 - 0.1 * leak - 0.05 * cavitation);

        // Electricity: hydraulic power over an efficiency that is best at the design flow for this speed.
        double off = flow / (DesignFlow * speed) - 1;
        double shaft = head * flow / 367 / (0.74 * (1 - 0.8 * off * off)); // kW
        double current = 9 + 1.75 * shaft * (1 - 0.05 * cavitation);

        double vibration = 0.8 + 1.3 * speed * speed + 6 * off * off + 0.8 * wear + 0.7 * cavitation;
        vibration *= Math.Exp(Noise(0.05));

        // Temperatures approach what the losses would give in the end, and take hours to get there.
        double air = 18 + 4 * Math.Sin(2 * Math.PI * (hour - 9) / 24) + 2 * Math.Sin(2 * Math.PI * day / 11);
        _bearingHeat += (14 + 16 * speed * speed + 13 * wear - _bearingHeat) / 9;
        _motorHeat += (8 + 0.022 * current * current - _motorHeat) / 6;

        double delivered = flow * (1 - 0.2 * leak) * (1 + Noise(0.05) * cavitation);
        return
        [
            2950 * speed + Noise(3), delivered + Noise(0.6), suction + Noise(0.006), discharge + Noise(0.015),
            current + Noise(0.25), vibration,
            air + _bearingHeat + Noise(0.4), air + _motorHeat - 10 * drift + Noise(0.5),
        ];
    }

    private static double Peak(double hour, double at, double width) => Math.Exp(-Math.Pow((hour - at) / width, 2));

    private double Noise(double deviation) =>
        deviation * Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(2 * Math.PI * _random.NextDouble());
}
