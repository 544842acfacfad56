using System.Text.Json.Serialization;
using GenerativeML;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

namespace DetectorService;

/// <summary>What is to be continued, and by how many tokens at most.</summary>
public sealed record Request(string Prompt, int MaxTokens = 100, float Temperature = 0.8f, int? Seed = null);

/// <summary>A detector, and on request a language model, behind HTTP.</summary>
public static class Service
{
    private const int MostRows = 10_000, MostTokens = 2_000;

    /// <summary>Makes the service; models are loaded now, so that a wrong file is known at once.</summary>
    public static WebApplication Build(string[] args, string detector, string? gpt = null)
    {
        WebApplicationBuilder builder = WebApplication.CreateBuilder(args);
        // A reading far out can have an infinite score.
        builder.Services.ConfigureHttpJsonOptions(
            json => json.SerializerOptions.NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals);
        builder.Services.AddGenerativeModel<Reading, Verdict>(detector);
        if (gpt is not null)
            builder.Services.AddLanguageModel(gpt);

        WebApplication app = builder.Build();
        var model = app.Services.GetRequiredService<ServedModel<Reading, Verdict>>();
        app.MapGet("/", () => new
        {
            DetectorsLoaded = model.Loads, Texts = gpt is not null, MegaBytes = Environment.WorkingSet >> 20,
        });
        app.MapPost("/score", (Reading[] rows) => rows.Length > MostRows
            ? Results.BadRequest($"At most {MostRows} rows at once.")
            : Results.Ok(rows.Length == 1 ? [model.Predict(rows[0])] : model.Predict(rows)));
        if (gpt is not null)
        {
            app.Services.GetRequiredService<IChatClient>().GetService<ChatClientMetadata>(); // loads it
            app.MapPost("/generate", Generate);
        }
        return app;
    }

    // A text, piece by piece, until it ends or the caller has gone.
    private static async Task Generate(Request request, IChatClient client, HttpContext http)
    {
        if (request.Prompt is null || request.MaxTokens is < 1 or > MostTokens || request.Temperature is < 0 or > 10)
        {
            http.Response.StatusCode = StatusCodes.Status400BadRequest;
            await http.Response.WriteAsync($"prompt is a text, maxTokens from 1 to {MostTokens}, temperature from 0 to 10.");
            return;
        }
        http.Response.ContentType = "text/plain; charset=utf-8";
        ChatOptions options = new()
        {
            MaxOutputTokens = request.MaxTokens, Temperature = request.Temperature, Seed = request.Seed,
        };
        await foreach (ChatResponseUpdate piece in client.GetStreamingResponseAsync(
            request.Prompt, options, http.RequestAborted))
        {
            await http.Response.WriteAsync(piece.Text, http.RequestAborted);
            await http.Response.Body.FlushAsync(http.RequestAborted);
        }
    }
}
