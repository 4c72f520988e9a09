using Lab.CircuitAnalysis;

WebApplicationBuilder builder = WebApplication.CreateBuilder(args);
builder.AddCircuitAnalysis();
WebApplication app = builder.Build();
app.MapCircuitAnalysis();
app.Run();
