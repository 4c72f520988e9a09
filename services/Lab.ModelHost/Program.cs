using Lab.ModelHost;

WebApplicationBuilder builder = WebApplication.CreateBuilder(args);
builder.AddModelHost();
WebApplication app = builder.Build();
app.MapModelHost();
await app.RunAsync();
