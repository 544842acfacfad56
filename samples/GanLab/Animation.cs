using System.Globalization;
using System.Text;

namespace GanLab;

/// <summary>
/// A page, whole in itself, that plays the stages of a training: real and generated points, and behind them what the
/// model says of every place.
/// </summary>
/// <param name="title">What stands above.</param>
/// <param name="shades">What it means that a place is lighter.</param>
/// <param name="real">The points that the model is trained on.</param>
internal sealed class Animation(string title, string shades, float[][] real)
{
    private const int Cells = 40; // of the field, along each side
    private const double Reach = 3; // the picture shows −3 to 3 both ways

    /// <summary>Points of a picture.</summary>
    public const int Shown = 400;

    private readonly List<string> _frames = [];

    /// <summary>Takes the picture of a stage: what is said of places, (any × 2), and generated points.</summary>
    public void Add(string caption, Func<float[], float[]> say, IEnumerable<float[]> generated)
    {
        float[] places = [.. from row in Enumerable.Range(0, Cells)
                             from column in Enumerable.Range(0, Cells)
                             from value in new[] { Center(column), -Center(row) }
                             select (float)value];
        float[] field = say(places);
        (float low, float high) = (field.Min(), field.Max());
        IEnumerable<int> levels = field.Select(v => high > low ? (int)(99 * (v - low) / (high - low)) : 50);
        _frames.Add($"{{t:'{caption}',f:[{string.Join(',', levels)}],g:{Points(generated)}}}");
    }

    /// <summary>What stands below the picture, sentence by sentence.</summary>
    public IReadOnlyList<string> Verdict { get; set; } = [];

    /// <summary>The page.</summary>
    public string Write()
    {
        string words = string.Concat(Verdict.Select(v => $"<p>{System.Net.WebUtility.HtmlEncode(v)}</p>"));
        return $$"""
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><title>{{title}}</title><style>
            body{font:15px system-ui,sans-serif;margin:2em auto;max-width:640px;color:#222}
            canvas{border:1px solid #ccc;width:600px;height:600px}input{width:520px}.r{color:#1f5fa8}.g{color:#d9541e}
            </style></head><body><h1>{{title}}</h1>
            <p><b class="r">real</b> and <b class="g">generated</b> points; the lighter a place, {{shades}}.</p>
            <canvas id="c" width="600" height="600"></canvas>
            <p><button id="b">pause</button> <input id="s" type="range" min="0" value="0"></p><p id="t"></p>{{words}}
            <script>
            const real={{Points(real.Take(Shown))}},frames=[{{string.Join(",\n", _frames)}}],n={{Cells}},reach={{Reach}};
            const c=document.getElementById('c').getContext('2d'),s=document.getElementById('s');
            let at=0,playing=true;s.max=frames.length-1;
            const place=v=>(v+reach)/(2*reach)*600;
            function dots(p,color){c.fillStyle=color;for(const[x,y]of p){c.beginPath();c.arc(place(x),place(-y),3,0,7);c.fill();} }
            function draw(){const f=frames[at],w=600/n;
            f.f.forEach((v,i)=>{c.fillStyle=`hsl(210 15% ${45+v*0.5}%)`;c.fillRect((i%n)*w,Math.floor(i/n)*w,w+1,w+1);});
            dots(real,'#1f5fa8aa');dots(f.g,'#d9541ecc');s.value=at;document.getElementById('t').textContent=f.t;}
            s.oninput=()=>{playing=false;at=+s.value;draw();};
            document.getElementById('b').onclick=e=>{playing=!playing;e.target.textContent=playing?'pause':'play';};
            setInterval(()=>{if(playing){at=(at+1)%frames.length;draw();} },400);
            at=frames.length-1;draw();
            </script></body></html>
            """;
    }

    private static double Center(int cell) => -Reach + (cell + 0.5) * 2 * Reach / Cells;

    private static string Points(IEnumerable<float[]> points)
    {
        var text = new StringBuilder("[");
        foreach (float[] p in points)
            text.Append(CultureInfo.InvariantCulture, $"[{p[0]:F2},{p[1]:F2}],");
        return text.Append(']').ToString();
    }
}
