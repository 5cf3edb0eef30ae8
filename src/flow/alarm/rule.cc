#include "flow/alarm/rule.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/core/base64.h"
#include "base/core/nearest.h"
#include "base/json/object_reader.h"
#include "flow/definition/definition_shape.h"
#include "flow/definition/duration.h"

namespace flow {

namespace json = base::json;
using base::Code;
using base::ObjectReader;
using base::Result;

namespace {

using What = AlarmRule::What;
using Unit = AlarmRule::Unit;

constexpr std::int64_t kMinute = 60'000, kHour = 60 * kMinute, kDay = 24 * kHour;
constexpr std::size_t kSecretBytesMin = 16;
constexpr std::array<std::string_view, 5> kWhats = {"failure_rate", "stuck", "budget",
                                                    "quarantined", "disk_free_mib"};
constexpr std::array<std::string_view, 3> kUnits = {"tokens", "cost_usd", "seconds"};
constexpr double kMiB = 1024 * 1024;

/// What stands for a field that is not there.
std::int64_t default_over(What what) {
    return what == What::failure_rate ? 15 * kMinute : kHour;
}
std::uint64_t default_at_least(What what) {
    return what == What::failure_rate ? 5 : 1;
}
constexpr std::int64_t kClearMs = kMinute;

/// "15m", or a number of seconds; `least` to a year.
void duration(ObjectReader& in, std::string_view name, std::int64_t& out_ms, std::int64_t least_ms,
              std::int64_t most_ms) {
    const json::value* value = in.value(name);
    if (value == nullptr) return;
    const auto read = value->is_string()   ? parse_duration(std::string_view(value->get_string()))
                      : value->is_number() ? parse_duration(base::to_text(*value))
                                           : std::nullopt;
    if (!read || read->count() < least_ms || read->count() > most_ms) {
        in.fault(name, fmt::format("must be a duration such as 30s, 15m or 2h, from {} to {}",
                                   duration_text(std::chrono::milliseconds(least_ms)),
                                   duration_text(std::chrono::milliseconds(most_ms))));
        return;
    }
    out_ms = read->count();
}

void read_budget(ObjectReader& when, AlarmRule& rule) {
    when.object("budget", [&](ObjectReader& budget) {
        std::size_t given = 0;
        for (std::size_t i = 0; i < kUnits.size(); ++i) {
            if (!budget.has(kUnits[i])) continue;
            ++given;
            rule.unit = static_cast<Unit>(i);
            budget.number(kUnits[i], rule.limit, 0, 1e15);
        }
        if (given != 1) budget.fault("", "must say one of tokens, cost_usd or seconds");
    });
    when.choice("per", rule.per_day, {{"run", false}, {"day", true}});
    if (!rule.per_day) duration(when, "over", rule.over_ms, kMinute, kDay);
}

void read_when(ObjectReader& when, AlarmRule& rule) {
    std::vector<std::string_view> found;
    for (std::size_t i = 0; i < kWhats.size(); ++i) {
        if (!when.has(kWhats[i])) continue;
        found.push_back(kWhats[i]);
        rule.what = static_cast<What>(i);
    }
    if (found.size() != 1) {
        when.fault("", fmt::format("must say one of {}", fmt::join(kWhats, ", ")));
        return;
    }
    rule.over_ms = default_over(rule.what);
    rule.at_least = default_at_least(rule.what);
    switch (rule.what) {
        case What::failure_rate:
            when.number("failure_rate", rule.limit, 0.001, 1);
            duration(when, "over", rule.over_ms, kMinute, kDay);
            when.integer<std::uint64_t>("at_least", rule.at_least, 1, 1'000'000);
            break;
        case What::stuck: {
            std::int64_t limit_ms = 0;
            duration(when, "stuck", limit_ms, 1'000, 365 * kDay);
            rule.limit = static_cast<double>(limit_ms);
            break;
        }
        case What::budget:
            read_budget(when, rule);
            break;
        case What::quarantined: {
            bool on = true;
            when.flag("quarantined", on);
            if (!on) when.fault("quarantined", "must be true");
            duration(when, "over", rule.over_ms, kMinute, kDay);
            when.integer<std::uint64_t>("at_least", rule.at_least, 1, 1'000'000);
            break;
        }
        case What::disk_free: {
            double mib = 0;
            when.number("disk_free_mib", mib, 1, 1e9);
            rule.limit = mib * kMiB;
            break;
        }
    }
}

json::object when_json(const AlarmRule& rule) {
    json::object when;
    const std::string over = duration_text(std::chrono::milliseconds(rule.over_ms));
    switch (rule.what) {
        case What::failure_rate:
            return {{"failure_rate", rule.limit}, {"over", over}, {"at_least", rule.at_least}};
        case What::stuck:
            return {{"stuck", duration_text(std::chrono::milliseconds(
                                  static_cast<std::int64_t>(rule.limit)))}};
        case What::budget:
            when["budget"] =
                json::object{{kUnits[static_cast<std::size_t>(rule.unit)], rule.limit}};
            when["per"] = rule.per_day ? "day" : "run";
            if (!rule.per_day) when["over"] = over;
            return when;
        case What::quarantined:
            return {{"quarantined", true}, {"over", over}, {"at_least", rule.at_least}};
        case What::disk_free:
            return {{"disk_free_mib", rule.limit / kMiB}};
    }
    return when;
}

// ---- the file's shape --------------------------------------------------------------------------

using base::Field;
using base::Shape;
using Type = Shape::Type;

Shape text(std::string_view doc, std::size_t length_max = 1'024) {
    return {.type = Type::text, .doc = doc, .length_min = 1, .length_max = length_max};
}
Shape name(std::string_view doc) {
    return {.type = Type::text,
            .doc = doc,
            .length_min = 1,
            .length_max = 128,
            .words = "letters, digits, '_', '-' and '.'",
            .pattern = "^[A-Za-z0-9][A-Za-z0-9_.-]*$",
            .fits = is_name};
}
Shape number(std::string_view doc, double min, double max) {
    return {.type = Type::number, .doc = doc, .min = min, .max = max};
}
Shape span(std::string_view doc) {
    static const Shape seconds = {
        .type = Type::number, .doc = "Seconds.", .min = 0, .max = 315'360'000};
    static const Shape words = {
        .type = Type::text,
        .doc = "As 30s, 15m, 2h30m, 3d.",
        .length_min = 1,
        .length_max = 64,
        .words = "a duration such as 30s, 15m or 2h",
        .pattern = "^([0-9.]+(ms|s|m|h|d|w))+$",
        .fits = [](std::string_view each) { return parse_duration(each).has_value(); }};
    return {.type = Type::either,
            .doc = doc,
            .options = {&seconds, &words},
            .words = "a duration such as 30s, 15m or 2h"};
}

const Shape& when_shape() {
    static const Shape shape =
        {.type = Type::object,
         .doc = "When it is so.",
         .fields =
             {{"failure_rate",
               number("Share of the runs that ended, from which on it is too many.", 0.001, 1)},
              {"stuck",
               span("No progress for so long, with nothing that the run may wait for; also "
                    "a person's step that nobody answered in time.")},
              {"budget",
               {.type = Type::object,
                .doc = "More than so much was used.",
                .fields = {{"tokens", number("Tokens.", 0, 1e15)},
                           {"cost_usd", number("US dollars.", 0, 1e15)},
                           {"seconds", number("Seconds from begin to end.", 0, 1e15)}},
                .one_field = {"tokens", "cost_usd", "seconds"}}},
              {"quarantined",
               {.type = Type::flag,
                .doc = "A step was quarantined, because processes died with its call out."}},
              {"disk_free_mib", number("Less is free where workflows are kept, in MiB.", 1, 1e9)},
              {"over", span("How far back is looked: 15m for failure_rate, else 1h.")},
              {"at_least",
               {.type = Type::integer,
                .doc = "Runs that must have ended (5), or been quarantined (1).",
                .min = 1,
                .max = 1'000'000}},
              {"per",
               {.type = Type::text,
                .doc = "Whose budget: one run's, or that of a workflow's runs since midnight UTC.",
                .one_of = {"run", "day"}}}},
         .one_field = {kWhats.begin(), kWhats.end()}};
    return shape;
}

const Shape& rule_shape() {
    static const Shape word = name("");
    static const Shape shape = {
        .type = Type::object,
        .fields = {{"name", name("What it is called."), true},
                   {"tenant", name("Whose runs; 'default' without it.")},
                   {"workflow", name("Which; without it each by itself.")},
                   {"note", text("What to do, for who is told.")},
                   {"when", when_shape(), true},
                   {"for", span("It must be so for this long before the alarm fires.")},
                   {"clear_after",
                    span("It must not be so for this long before the alarm ends (1m).")},
                   {"repeat", span("Told again so often while it fires and nobody took it.")},
                   {"webhooks",
                    {.type = Type::list,
                     .doc = "Which are told; without it all.",
                     .length_max = 16,
                     .element = &word}}},
        .noun = "rule",
        .noun_field = "name"};
    return shape;
}

const Shape& webhook_shape() {
    static const Shape shape = {
        .type = Type::object,
        .fields = {{"name", name("What rules call it."), true},
                   {"url", text("http:// or https://, to which alarms are posted.", 2'048), true},
                   {"secret_file", text("A file with the key that signs, as whsec_BASE64 or as it "
                                        "is, at least 16 bytes.")},
                   {"secret_env", name("An environment variable with that key.")}},
        .one_field = {"secret_file", "secret_env"},
        .noun = "webhook",
        .noun_field = "name"};
    return shape;
}

/// Bytes of a key as people keep it: "whsec_" and Base64, or the text itself.
Result<std::string> key_of(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    constexpr std::string_view kPrefix = "whsec_";
    if (text.starts_with(kPrefix)) {
        const auto bytes = base::base64_decode(std::string_view(text).substr(kPrefix.size()));
        if (!bytes) return base::fail(Code::invalid_argument, "what follows whsec_ is no Base64");
        text = *bytes;
    }
    if (text.size() < kSecretBytesMin) {
        return base::fail(Code::invalid_argument, "the key has {} bytes, expected at least {}",
                          text.size(), kSecretBytesMin);
    }
    return text;
}

class FileReader {
public:
    FileReader(const std::string& file, const SecretSource& secrets)
        : file_(file), secrets_(secrets) {}

    Result<AlarmFile> read(const base::Node& root) {
        AlarmFile out;
        if (const base::Node* list = root.find("webhooks")) {
            for (const base::Node& each : list->items) {
                out.webhooks.push_back(DG_TRY(webhook(each)));
            }
        }
        if (const base::Node* list = root.find("rules")) {
            for (const base::Node& each : list->items) {
                out.rules.push_back(DG_TRY(rule(each, out.webhooks)));
            }
        }
        return out;
    }

private:
    std::unexpected<base::Error> fault(const base::Node& node, std::string_view what) const {
        const std::string at = base::place(file_, node);
        return base::fail_on(at, Code::invalid_argument, "{}: {}", at, what);
    }

    Result<Webhook> webhook(const base::Node& node) {
        Webhook out;
        out.name = node.find("name")->text;
        const base::Node& url = *node.find("url");
        out.url = url.text;
        if (!out.url.starts_with("http://") && !out.url.starts_with("https://")) {
            return fault(
                url, fmt::format("'{}' is no URL that begins with http:// or https://", out.url));
        }
        if (!names_.insert(out.name).second) {
            return fault(*node.find("name"), fmt::format("two webhooks are '{}'", out.name));
        }
        const base::Node* in_file = node.find("secret_file");
        const base::Node& where = in_file != nullptr ? *in_file : *node.find("secret_env");
        auto secret = secrets_(in_file != nullptr, where.text);
        auto key = secret ? key_of(*std::move(secret)) : std::move(secret);
        if (!key) return fault(where, key.error().message);
        out.secret = *std::move(key);
        return out;
    }

    Result<AlarmRule> rule(const base::Node& node, const std::vector<Webhook>& webhooks) {
        const json::value document = base::to_json(node);
        auto read = read_alarm_rule(document.as_object(), "");
        if (!read) return fault(node, read.error().message);
        AlarmRule& out = *read;
        out.from_file = true;
        if (!rules_.insert({out.tenant, out.name}).second) {
            return fault(*node.find("name"), fmt::format("two rules are '{}'", out.name));
        }
        for (const std::string& name : out.webhooks) {
            if (names_.contains(name)) continue;
            std::vector<std::string_view> known;
            for (const Webhook& each : webhooks) known.push_back(each.name);
            return fault(*node.find("webhooks"), fmt::format("there is no webhook '{}'{}", name,
                                                             base::did_you_mean(name, known)));
        }
        return read;
    }

    const std::string& file_;
    const SecretSource& secrets_;
    std::set<std::string> names_;
    std::set<std::pair<std::string, std::string>> rules_;
};

}  // namespace

Result<AlarmRule> read_alarm_rule(const json::object& rule, const std::string& path) {
    AlarmRule out;
    out.clear_ms = kClearMs;
    ObjectReader in(rule, path);
    in.text("name", out.name, 128);
    in.text("tenant", out.tenant, 128);
    in.text("workflow", out.workflow, 128);
    in.text("note", out.note, 1'024);
    if (!in.has("when")) in.fault("when", "is missing");
    in.object("when", [&](ObjectReader& when) { read_when(when, out); });
    duration(in, "for", out.hold_ms, 0, 7 * kDay);
    duration(in, "clear_after", out.clear_ms, 0, 7 * kDay);
    duration(in, "repeat", out.repeat_ms, kMinute, 30 * kDay);
    in.texts("webhooks", out.webhooks, 16, 128);
    if (!is_name(out.name)) in.fault("name", "must be letters, digits, '_', '-' and '.'");
    if (!out.workflow.empty() && !is_name(out.workflow)) in.fault("workflow", "is no name");
    DG_TRY(in.done());
    return out;
}

json::object to_json(const AlarmRule& rule) {
    json::object out{{"name", rule.name}};
    if (!rule.workflow.empty()) out["workflow"] = rule.workflow;
    if (!rule.note.empty()) out["note"] = rule.note;
    out["when"] = when_json(rule);
    const auto put = [&](std::string_view name, std::int64_t ms) {
        out[name] = duration_text(std::chrono::milliseconds(ms));
    };
    if (rule.hold_ms != 0) put("for", rule.hold_ms);
    put("clear_after", rule.clear_ms);
    if (rule.repeat_ms != 0) put("repeat", rule.repeat_ms);
    if (!rule.webhooks.empty()) out["webhooks"] = json::value_from(rule.webhooks);
    return out;
}

const Shape& alarm_file_shape() {
    static const Shape shape = {.type = Type::object,
                                .doc = "Alarms about workflows, and who is told.",
                                .fields = {{"webhooks",
                                            {.type = Type::list,
                                             .doc = "Who is told.",
                                             .length_max = 64,
                                             .element = &webhook_shape()}},
                                           {"rules",
                                            {.type = Type::list,
                                             .doc = "When somebody is told.",
                                             .length_max = 1'000,
                                             .element = &rule_shape()}}}};
    return shape;
}

json::object alarm_file_schema() {
    return base::json_schema(alarm_file_shape(), "alarms.schema.json", "Dougong alarms");
}

Result<AlarmFile> read_alarm_file(std::string_view text, const std::string& file,
                                  const SecretSource& secrets) {
    const base::Node root = DG_TRY(base::parse_document(text, file));
    if (root.kind == base::Node::Kind::null) return AlarmFile{};
    DG_TRY(base::check_shape(root, alarm_file_shape(), file));
    return FileReader(file, secrets).read(root);
}

}  // namespace flow
