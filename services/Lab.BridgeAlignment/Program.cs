using Lab.BridgeAlignment;

WebApplicationBuilder builder = WebApplication.CreateBuilder(args);
builder.AddBridgeAlignment();
WebApplication app = builder.Build();
app.MapBridgeAlignment();
app.Run();
