using Lab.SparseTraining;

WebApplication app = WebApplication.CreateBuilder(args).AddSparseTraining().Build();
app.MapSparseTraining();
app.Run();
