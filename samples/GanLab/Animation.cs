using System.Globalization;
using System.Net;
using System.Text;

namespace GanLab;

/// <summary>
/// A page, whole in itself, that plays the stages of a training: real and generated points, and behind them what the
/// model says of every place. Several trainings stand side by side, and play together.
/// </summary>
/// <param name="title">What stands above.</param>
/// <param name="shades">What it means that a place is lighter.</param>
/// <param name="real">The points that the models are trained on.</param>
internal sealed class Animation(string title, string shades, float[][] real)
{
    private const int Cells = 40; // of the field, along each side
    private const double Reach = 3; // the picture shows −3 to 3 both ways

    /// <summary>Points of a picture.</summary>
    public const int Shown = 400;

    private readonly List<Training> _trainings = [];

    /// <summary>A training's pictures, under a name where there are several.</summary>
    public Training Add(string name = "")
    {
        _trainings.Add(new Training(name));
        return _trainings[^1];
    }

    /// <summary>The page.</summary>
    public string Write()
    {
        bool isOne = _trainings.Count == 1;
        return $$"""
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><title>{{title}}</title><style>
            body{font:15px system-ui,sans-serif;margin:2em auto;max-width:{{(isOne ? 640 : 1120)}}px;color:#222}
            main{display:grid;gap:1.5em;grid-template-columns:repeat(auto-fill,minmax({{(isOne ? 600 : 340)}}px,1fr))}
            h2{font-size:1.1em;margin:0}canvas{border:1px solid #ccc;width:100%;aspect-ratio:1}
            .t{min-height:2.6em;margin:.3em 0}input{width:520px}.r{color:#1f5fa8}.g{color:#d9541e}
            </style></head><body><h1>{{title}}</h1>
            <p><b class="r">real</b> and <b class="g">generated</b> points; the lighter a place, {{shades}}.</p>
            <p><button id="b">pause</button> <input id="s" type="range" min="0" value="0"></p><main id="m"></main>
            <script>
            const real={{Points(real.Take(Shown))}},trainings=[{{string.Join(",\n", _trainings.Select(t => t.Write()))}}],n={{Cells}},reach={{Reach}},side=600;
            const s=document.getElementById('s');
            for(const t of trainings){const d=document.createElement('div');d.innerHTML=t.head+'<canvas width="600" height="600"></canvas><p class="t"></p>'+t.words;
            document.getElementById('m').append(d);t.c=d.querySelector('canvas').getContext('2d');t.p=d.querySelector('.t');}
            let at=0,playing=true;const last=Math.max(...trainings.map(t=>t.frames.length))-1;s.max=last;
            const place=v=>(v+reach)/(2*reach)*side;
            function dots(c,p,color){c.fillStyle=color;for(const[x,y]of p){c.beginPath();c.arc(place(x),place(-y),3,0,7);c.fill();} }
            function draw(){s.value=at;for(const{c,p,frames}of trainings){const f=frames[Math.min(at,frames.length-1)],w=side/n;
            f.f.forEach((v,i)=>{c.fillStyle=`hsl(210 15% ${45+v*0.5}%)`;c.fillRect((i%n)*w,Math.floor(i/n)*w,w+1,w+1);});
            dots(c,real,'#1f5fa8aa');dots(c,f.g,'#d9541ecc');p.textContent=f.t;} }
            s.oninput=()=>{playing=false;at=+s.value;draw();};
            document.getElementById('b').onclick=e=>{playing=!playing;e.target.textContent=playing?'pause':'play';};
            setInterval(()=>{if(playing){at=(at+1)%(last+1);draw();} },400);
            at=last;draw();
            </script></body></html>
            """;
    }

    private static string Points(IEnumerable<float[]> points)
    {
        var text = new StringBuilder("[");
        foreach (float[] p in points)
            text.Append(CultureInfo.InvariantCulture, $"[{p[0]:F2},{p[1]:F2}],");
        return text.Append(']').ToString();
    }

    /// <summary>The pictures of one training.</summary>
    internal sealed class Training(string name)
    {
        private readonly List<string> _frames = [];

        /// <summary>What stands below the picture, sentence by sentence.</summary>
        public IReadOnlyList<string> Verdict { get; set; } = [];

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

        /// <summary>As the page's script reads it.</summary>
        public string Write()
        {
            string head = name.Length > 0 ? $"<h2>{WebUtility.HtmlEncode(name)}</h2>" : "";
            string words = string.Concat(Verdict.Select(v => $"<p>{WebUtility.HtmlEncode(v)}</p>"));
            return $"{{head:`{head}`,words:`{words}`,frames:[{string.Join(",\n", _frames)}]}}";
        }

        private static double Center(int cell) => -Reach + (cell + 0.5) * 2 * Reach / Cells;
    }
}
