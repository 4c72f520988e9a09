using Lab.Gateway;

WebApplicationBuilder builder = WebApplication.CreateBuilder(args);
builder.AddGateway();
WebApplication app = builder.Build();
app.MapGateway();
await app.RunAsync();
