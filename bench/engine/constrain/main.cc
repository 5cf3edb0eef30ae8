// How many real schemas compile, whether instances are judged rightly, and what a token costs.
//
//   bench_constrain MODEL.gguf CASES.jsonl[.gz]        MaskBench lines: {"id","schema","tests"}
//   bench_constrain MODEL.gguf SUITE.json[.gz] suite   JSON Schema Test Suite, as {file: [groups]}
//   bench_constrain MODEL.gguf - tools                 one grammar of 500 tools, 1 MB of schemas
#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "base/json/json.h"
#include "engine/constrain/constraint.h"
#include "engine/constrain/schema.h"
#include "engine/model_files/gguf.h"

namespace {

namespace json = base::json;
using engine::constrain::Constraint;

std::string read_all(const char* path) {
    std::string text;
    gzFile file = gzopen(path, "rb");
    if (file == nullptr) return text;
    std::vector<char> buffer(1 << 20);
    for (int got = 0; (got = gzread(file, buffer.data(), 1 << 20)) > 0;) {
        text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    gzclose(file);
    return text;
}

/// The thread's own time: other programs on the machine do not count.
double now_us() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) * 1e-3;
}

/// Doubles as people write them, with the separators most writers use.
void write_json(const json::value& value, std::string& out) {
    if (const auto* object = value.if_object()) {
        out += '{';
        bool first = true;
        for (const auto& [key, child] : *object) {
            if (!first) out += ", ";
            first = false;
            out += json::serialize(json::string(key)) + ": ";
            write_json(child, out);
        }
        out += '}';
    } else if (const auto* array = value.if_array()) {
        out += '[';
        for (std::size_t i = 0; i < array->size(); ++i) {
            if (i > 0) out += ", ";
            write_json((*array)[i], out);
        }
        out += ']';
    } else if (value.is_double()) {
        const std::string text = fmt::format("{}", value.get_double());
        out += text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
    } else {
        out += json::serialize(value);
    }
}

struct Totals {
    int schemas = 0, compiled = 0, passed = 0;
    int valid = 0, valid_accepted = 0, invalid = 0, invalid_rejected = 0;
    std::vector<double> compile_us, mask_us;
    std::map<std::string, int> refused;
};

bool accepts(Constraint& constraint, const engine::Tokenizer& tokenizer, const std::string& text,
             Totals& totals) {
    for (const auto id : tokenizer.encode(text, {.add_special = false})) {
        const double start = now_us();
        const auto mask = constraint.mask();
        totals.mask_us.push_back(now_us() - start);
        const bool allowed = engine::constrain::has_token(mask, id);
        if (allowed != constraint.accept(id)) {
            std::printf("mask and matcher disagree on token %d in %s\n", id, text.c_str());
            std::exit(1);
        }
        if (!allowed) return false;
    }
    return constraint.can_end();
}

void judge(const std::string& name, const json::value& schema, const json::array& tests,
           const engine::Tokenizer& tokenizer,
           const std::shared_ptr<const engine::constrain::TokenTrie>& trie, bool verbose,
           bool any_order, Totals& totals) {
    ++totals.schemas;
    const double start = now_us();
    engine::constrain::SchemaOptions options;
    options.any_order = any_order;
    const auto grammar = engine::constrain::compile_schema(schema, options);
    totals.compile_us.push_back(now_us() - start);
    if (!grammar) {
        std::string subject = grammar.error().subject;
        subject = subject.substr(std::min(subject.size(), subject.rfind('.') + 1));
        ++totals.refused[subject + " " + std::string(base::code_name(grammar.error().code))];
        if (verbose) std::printf("%s: %s\n", name.c_str(), grammar.error().message.c_str());
        return;
    }
    ++totals.compiled;
    bool all_right = true;
    // As in the engine, the generations of one grammar share what they find out.
    const auto masks = std::make_shared<engine::constrain::Masks>(*grammar, trie);
    for (const json::value& test : tests) {
        std::string text;
        write_json(test.at("data"), text);
        Constraint constraint(masks);
        const bool accepted = accepts(constraint, tokenizer, text, totals);
        const bool valid = test.at("valid").as_bool();
        ++(valid ? totals.valid : totals.invalid);
        if (valid) totals.valid_accepted += accepted;
        if (!valid) totals.invalid_rejected += !accepted;
        all_right = all_right && accepted == valid;
        if (verbose && accepted != valid) {
            std::printf("%s: %s %.200s\n", name.c_str(), valid ? "REJECTS" : "ACCEPTS",
                        text.c_str());
        }
    }
    totals.passed += all_right;
}

double percentile(std::vector<double> values, double share) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

json::value tool_schema(int tool) {
    json::object properties;
    json::array required;
    for (int p = 0; p < 12; ++p) {
        const std::string name = fmt::format("field_{}_{}", tool, p);
        json::object schema{{"description", std::string(120, 'd')}};
        schema["type"] = p % 3 == 0 ? "string" : p % 3 == 1 ? "integer" : "array";
        if (p % 3 == 0) schema["maxLength"] = 2'000 + p;
        if (p % 3 == 1) schema["maximum"] = 100 * tool + p;
        if (p % 3 == 2) schema["items"] = json::object{{"enum", json::array{"x", "y", p}}};
        if (p < 4) required.emplace_back(name);
        properties[name] = std::move(schema);
    }
    return json::object{{"type", "object"},
                        {"properties", std::move(properties)},
                        {"required", std::move(required)}};
}

/// Compiles all tools into one grammar and walks calls of some of them.
int measure_tools(const engine::Tokenizer& tokenizer,
                  const std::shared_ptr<const engine::constrain::TokenTrie>& trie) {
    constexpr int kTools = 500;
    std::vector<json::value> schemas;
    std::size_t bytes = 0;
    for (int tool = 0; tool < kTools; ++tool) {
        schemas.push_back(tool_schema(tool));
        bytes += json::serialize(schemas.back()).size();
    }
    const double start = now_us();
    engine::constrain::GrammarBuilder builder;
    std::vector<engine::constrain::NodeId> calls;
    for (int tool = 0; tool < kTools; ++tool) {
        const auto arguments =
            engine::constrain::add_schema(builder, schemas[static_cast<std::size_t>(tool)]);
        calls.push_back(builder.sequence(
            {builder.literal(fmt::format(R"({{"name": "tool_{}", "arguments": )", tool)),
             arguments.value(), builder.literal("}")}));
    }
    const auto grammar = builder.build(builder.choice(std::move(calls)));
    const double compiled = now_us();
    if (!grammar) return 1;
    const auto masks = std::make_shared<engine::constrain::Masks>(*grammar, trie);
    const double tabled = now_us();
    Totals totals;
    int accepted = 0;
    for (int tool = 0; tool < kTools; tool += 10) {
        Constraint constraint(masks);
        accepted += accepts(
            constraint, tokenizer,
            fmt::format(R"({{"name": "tool_{}", "arguments": {{"field_{}_0": "some text", )"
                        R"("field_{}_1": {}, "field_{}_2": ["x", "y"], "field_{}_3": "more"}}}})",
                        tool, tool, tool, tool, tool, tool),
            totals);
    }
    std::printf(
        "%d tools, %zu bytes of schemas: compile %.1f ms (%.2f ms per 100 KB), first state "
        "%.1f ms, grammar %zu KiB, states after %d calls %zu KiB\n",
        kTools, bytes, (compiled - start) / 1e3,
        (compiled - start) / 1e3 * 1e5 / static_cast<double>(bytes), (tabled - compiled) / 1e3,
        (*grammar)->memory_bytes() >> 10, accepted, masks->memory_bytes() >> 10);
    std::printf("mask us over %zu tokens: average %.1f, p50 %.1f, p99 %.0f, max %.0f\n",
                totals.mask_us.size(),
                std::accumulate(totals.mask_us.begin(), totals.mask_us.end(), 0.) /
                    static_cast<double>(totals.mask_us.size()),
                percentile(totals.mask_us, .5), percentile(totals.mask_us, .99),
                percentile(totals.mask_us, 1));
    return 0;
}

void print(const Totals& t) {
    std::printf("schemas %d, compiled %d, all instances right %d\n", t.schemas, t.compiled,
                t.passed);
    std::printf("valid accepted %d of %d, invalid rejected %d of %d (of compiled schemas)\n",
                t.valid_accepted, t.valid, t.invalid_rejected, t.invalid);
    std::printf("compile us: p50 %.0f, p99 %.0f\n", percentile(t.compile_us, .5),
                percentile(t.compile_us, .99));
    double sum = 0;
    for (const double us : t.mask_us) sum += us;
    std::printf("mask us over %zu tokens: average %.1f, p50 %.1f, p99 %.0f, max %.0f\n",
                t.mask_us.size(),
                sum / static_cast<double>(std::max<std::size_t>(1, t.mask_us.size())),
                percentile(t.mask_us, .5), percentile(t.mask_us, .99), percentile(t.mask_us, 1));
    for (const auto& [why, count] : t.refused)
        std::printf("  refused %5d  %s\n", count, why.c_str());
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr,
                     "usage: bench_constrain MODEL.gguf CASES[.gz] [suite] [any_order] [-v]\n");
        return 2;
    }
    const auto has = [&](const char* flag) {
        return std::any_of(argv + 3, argv + argc,
                           [&](char* arg) { return !std::strcmp(arg, flag); });
    };
    const auto file = engine::GgufFile::open(argv[1]);
    auto vocabulary = file ? engine::load_vocabulary(*file) : std::unexpected(file.error());
    auto tokenizer = vocabulary ? engine::Tokenizer::create(std::move(*vocabulary))
                                : std::unexpected(vocabulary.error());
    if (!tokenizer) {
        std::fprintf(stderr, "%s\n", tokenizer.error().message.c_str());
        return 1;
    }
    const auto trie = std::make_shared<const engine::constrain::TokenTrie>(**tokenizer);
    if (has("tools")) return measure_tools(**tokenizer, trie);
    const std::string text = read_all(argv[2]);
    Totals totals;
    if (has("suite")) {
        const auto suite = base::parse_json(text, {256});
        for (const auto& [name, groups] : suite.value().as_object()) {
            for (const json::value& group : groups.as_array()) {
                judge(std::string(name) + ": " + group.at("description").as_string().c_str(),
                      group.at("schema"), group.at("tests").as_array(), **tokenizer, trie,
                      has("-v"), has("any_order"), totals);
            }
        }
    } else {
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = std::min(text.find('\n', at), text.size());
            const auto line = base::parse_json(std::string_view(text).substr(at, end - at), {256});
            at = end + 1;
            if (!line) continue;
            judge(line->at("id").as_string().c_str(), line->at("schema"),
                  line->at("tests").as_array(), **tokenizer, trie, has("-v"), has("any_order"),
                  totals);
        }
    }
    print(totals);
    return 0;
}
