namespace GenerativeML;

/// <summary>What an autoencoder is trained for: it decides the defaults of the options that were left open.</summary>
internal enum AutoencoderUse
{
    Detect,
    Encode,
    Denoise,
}
