using Lab.Standalone;
using Lab.Standalone.Commands;

return await LabCommand.InvokeAsync(args, LabConsole.Standard());
