#include "flow/definition/definition_shape.h"

#include <algorithm>
#include <array>

#include "flow/cron/cron.h"
#include "flow/definition/duration.h"

namespace flow {
namespace {

using base::Field;
using base::Shape;
using Type = Shape::Type;

constexpr std::array<std::string_view, 18> kStepKinds = {
    "llm",    "tool",   "code",  "http",     "memory", "call",    "worker", "human", "wait",
    "branch", "switch", "while", "for_each", "set",    "subflow", "emit",   "end",   "parallel"};
/// What undoes a step: something that ends by itself.
constexpr std::array<std::string_view, 9> kUndoKinds = {
    "llm", "tool", "code", "http", "memory", "call", "worker", "subflow", "emit"};

constexpr double kCountMax = 9007199254740991.0;

Shape text(std::string_view doc, std::size_t length_max = 4096, std::size_t length_min = 1) {
    return {.type = Type::text, .doc = doc, .length_min = length_min, .length_max = length_max};
}
Shape word(std::string_view doc, std::vector<std::string_view> one_of) {
    return {.type = Type::text, .doc = doc, .one_of = std::move(one_of), .length_min = 1};
}
Shape checked(std::string_view doc, std::string_view words, std::string_view pattern,
              bool (*fits)(std::string_view)) {
    return {.type = Type::text,
            .doc = doc,
            .length_min = 1,
            .length_max = 256,
            .words = words,
            .pattern = pattern,
            .fits = fits};
}
Shape name(std::string_view doc) {
    return checked(doc, "letters, digits, '_', '-' and '.'", "^[A-Za-z0-9][A-Za-z0-9_.-]*$",
                   is_name);
}
Shape step_id(std::string_view doc) {
    return checked(doc, "letters, digits and '_', as expressions name it",
                   "^[A-Za-z_][A-Za-z0-9_]*$", is_step_id);
}
Shape integer(std::string_view doc, double min = 0, double max = kCountMax) {
    return {.type = Type::integer, .doc = doc, .min = min, .max = max};
}
Shape number(std::string_view doc, double min, double max) {
    return {.type = Type::number, .doc = doc, .min = min, .max = max};
}
Shape flag(std::string_view doc) {
    return {.type = Type::flag, .doc = doc};
}
Shape any(std::string_view doc) {
    return {.type = Type::any, .doc = doc};
}
Shape list(std::string_view doc, const Shape& element, std::size_t length_max = 1024) {
    return {.type = Type::list, .doc = doc, .length_max = length_max, .element = &element};
}
Shape map(std::string_view doc, const Shape& element, std::size_t length_max = 1024) {
    return {.type = Type::map, .doc = doc, .length_max = length_max, .element = &element};
}
Shape object(std::string_view doc, std::vector<Field> fields) {
    return {.type = Type::object, .doc = doc, .fields = std::move(fields)};
}
Shape either(std::string_view doc, std::vector<const Shape*> options) {
    return {.type = Type::either, .doc = doc, .options = std::move(options)};
}

/// An expression stands with or without braces around it.
Shape expression(std::string_view doc) {
    return text(doc, 65'536);
}

const Shape& any_element() {
    static const Shape shape = any("");
    return shape;
}
const Shape& scalar_element() {
    static const Shape shape{.type = Type::scalar};
    return shape;
}
const Shape& text_element() {
    static const Shape shape = text("", 4096);
    return shape;
}

Shape arguments(std::string_view doc) {
    static const Shape whole = text("One expression that gives the object.", 65'536);
    static const Shape members = map("", any_element());
    return either(doc, {&members, &whole});
}

Shape duration(std::string_view doc) {
    static const Shape seconds = {
        .type = Type::number, .doc = "Seconds.", .min = 0, .max = 315'360'000, .words = ""};
    static const Shape words =
        checked("As 250ms, 30s, 5m, 2h30m, 3d, 2w.", "a duration such as 30s, 5m or 2h30m",
                "^([0-9.]+(ms|s|m|h|d|w))+$",
                [](std::string_view each) { return parse_duration(each).has_value(); });
    Shape shape = either(doc, {&seconds, &words});
    shape.words = "a duration such as 30s, 5m or 2h30m";
    return shape;
}

Shape cron(std::string_view doc) {
    Shape shape = text(doc, 256);  // what is wrong is told by the reader, field by field
    shape.words = "five fields: minute, hour, day of month, month, day of week";
    return shape;
}

// ---- steps, which hold steps ---------------------------------------------------------------

const Shape& steps_shape();

Shape steps(std::string_view doc) {
    Shape shape = steps_shape();
    if (!doc.empty()) shape.doc = doc;
    return shape;
}

Shape llm_shape() {
    return object(
        "Asks a model. Output: {text, json (with `schema`), tool_calls, usage}.",
        {{"model", text("Its name; absent: the server's default.", 1024)},
         {"prompt", any("One message of the user's."), false, {"input", "user", "question"}},
         {"system", any("What stands before it.")},
         {"messages", any("The conversation, instead of prompt and system.")},
         {"schema",
          any("JSON Schema of the answer, which is then in output.json."),
          false,
          {"response_format", "json_schema", "output_schema"}},
         {"tools", any("Tools the model may call, as chat.completions takes them.")},
         {"tool_choice", any("auto, none, required, or one tool.")},
         {"parallel_tool_calls", any("True or false.")},
         {"temperature", any("0 and up.")},
         {"top_p", any("0 to 1.")},
         {"max_tokens", any("Most tokens of the answer.")},
         {"stop", any("A text or a list of texts that end the answer.")},
         {"seed", any("The same seed, the same answer.")},
         {"presence_penalty", any("-2 to 2.")},
         {"frequency_penalty", any("-2 to 2.")},
         {"logprobs", any("True: with log-probabilities.")},
         {"price",
          any("{input_usd_per_million, output_usd_per_million}: what tokens cost; the run's "
              "cost_usd is made of it."),
          false,
          {"cost"}},
         {"reasoning_effort", any("low, medium, high.")}});
}

Shape human_shape() {
    return object(
        "Waits for a person. Output: {decision, answer, by}. Costs nothing while it waits.",
        {{"ask", word("approve: yes or no; edit: may change the draft; answer: fills the form.",
                      {"approve", "edit", "answer"})},
         {"prompt", any("What the person reads."), true, {"message", "question", "title"}},
         {"draft", any("Of edit: what may be changed.")},
         {"form", any("JSON Schema that an answer must satisfy."), false, {"schema"}},
         {"assignees", list("Who is asked.", text_element()), false, {"to", "users"}},
         {"deadline", duration("Then the step fails with deadline_exceeded."), false, {"timeout"}},
         {"escalate", object("When nobody has answered.",
                             {{"after", duration("So long after it was asked."), true},
                              {"to", list("Who is asked then.", text_element()), true}})}});
}

Shape wait_shape() {
    Shape shape = object(
        "Waits, which costs nothing meanwhile. Output: the payload, or {fired_at} of a timer.",
        {{"for", duration("So long.")},
         {"until", any("RFC 3339 text or seconds since 1970.")},
         {"cron", cron("The next moment of this crontab line, UTC.")},
         {"signal", text("A signal of this name, sent to the run.", 256)},
         {"event", text("An event of this name, emitted by any run of the tenant.", 256)},
         {"where", expression("Of a signal or event: `payload` must satisfy this.")}});
    shape.one_field = {"for", "until", "cron", "signal", "event"};
    return shape;
}

Shape branch_shape() {
    static const Shape other =
        object("", {{"if", expression("Tried when those before are false."), true},
                    {"then", steps(""), true}});
    return object("Runs one of its arms. Output: that of the arm's last step.",
                  {{"if", expression("Decides."), true, {"condition", "when"}},
                   {"then", steps("When it is true."), true, {"steps"}},
                   {"elif", list("Further conditions, in order.", other)},
                   {"else", steps("When nothing was.")}});
}

Shape switch_shape() {
    static const Shape arm =
        object("", {{"value", any("Compared with `on`."), true}, {"steps", steps(""), true}});
    static const Shape listed = list("", arm);
    static const Shape mapped = map("", steps_shape());
    return object("Runs the arm whose value `on` has. Output: that of the arm's last step.",
                  {{"on", expression("The value."), true, {"value", "expression"}},
                   {"cases",
                    either("Steps by value, or a list of {value, steps}. A map's names are texts.",
                           {&mapped, &listed}),
                    true},
                   {"default", steps("When no value fits."), false, {"else"}}});
}

Shape for_each_shape() {
    return object(
        "Runs its steps for every item of a list. Output: the list of the rounds' outputs.",
        {{"in", any("The list, as an expression or written out."), true, {"items", "list", "over"}},
         {"as",
          step_id("The item's name in expressions; absent: item. `index` counts from 0."),
          false,
          {"item", "name"}},
         {"concurrency", integer("Rounds at once.", 1, 100'000), false, {"parallel"}},
         {"max", integer("More items than this are an error.", 1)},
         {"collect", flag("false: only the last output is kept.")},
         {"steps", steps("One round."), true, {"do", "body"}}});
}

Shape while_shape() {
    return object(
        "Runs its steps while a condition holds. Output: the list of the rounds' outputs.",
        {{"condition", expression("Tried before each round."), true, {"if", "while"}},
         {"max", integer("More rounds than this are an error.", 1), true, {"limit", "bound"}},
         {"collect", flag("false: only the last output is kept.")},
         {"steps", steps("One round."), true, {"do", "body"}}});
}

Shape parallel_shape() {
    static const Shape branch = steps("");
    static const Shape few = word("", {"all", "any"});
    static const Shape count = integer("", 1, 100'000);
    return object("Runs its branches at once. Output: an object, branch name to output.",
                  {{"branches", map("Steps by name.", branch), true, {"steps"}},
                   {"need", either("Done when so many are: all, any, or a number. The others are "
                                   "cancelled.",
                                   {&count, &few})}});
}

Shape subflow_shape() {
    return object("Runs another workflow. Output: its output, or {run_id} when detached.",
                  {{"workflow", name("Its name."), true, {"name"}},
                   {"version", integer("Absent: the newest when it starts.", 1, 4294967295.0)},
                   {"input", any("Its input."), false, {"with", "arguments"}},
                   {"detached", flag("Goes on without waiting for it.")}});
}

Shape emit_shape() {
    Shape shape = object("Tells whoever waits for it, in the same commit as the step.",
                         {{"event", text("Name of an event for the tenant's runs.", 256)},
                          {"signal", text("Name of a signal for one run.", 256)},
                          {"run", any("Of a signal: the run's id.")},
                          {"payload", any("What is told."), false, {"data", "value"}}});
    shape.one_field = {"event", "signal"};
    return shape;
}

Shape end_shape() {
    Shape shape = object("Ends the run here.",
                         {{"output", any("As done, with this output."), false, {"value"}},
                          {"fail", any("As failed, with this message."), false, {"error"}}});
    shape.one_field = {"output", "fail"};
    return shape;
}

Shape code_shape() {
    return object(
        "Runs code in a sandbox. Output: {result, stdout, stderr, exit_code}.",
        {{"language", word("Of the source.", {"python", "node", "bash"}), true},
         {"source",
          text("As it is: expressions in it are not read. Data comes as `args`, and `result` goes "
               "back.",
               262'144),
          true,
          {"code", "run", "script"}},
         {"args",
          arguments("What the code finds as `args`."),
          false,
          {"arguments", "input", "env"}},
         {"sandbox", arguments("Limits, image, network, policy: fields of POST /v1/sandboxes.")},
         {"workspace",
          any("Files to begin with: steps.ID.output.workspace of a step that kept its own, or a "
              "list of such."),
          false,
          {"files", "files_from"}},
         {"keep_workspace",
          flag("The files are kept for later steps and for people: output.workspace, "
               "output.files."),
          false,
          {"keep", "shared", "keep_files"}}});
}

Shape http_shape() {
    static const Shape status = integer("", 100, 599);
    return object("Calls a URL. Output: {status, headers, body (parsed where it is JSON)}.",
                  {{"method", word("Absent: GET.",
                                   {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})},
                   {"url", text("http or https.", 65'536), true},
                   {"headers", arguments("By name.")},
                   {"query", arguments("Parameters of the URL."), false, {"params"}},
                   {"json", any("A body, sent as JSON."), false, {"data"}},
                   {"body", text("A body, sent as it is.", 262'144)},
                   {"ok_status",
                    list("Statuses that are no failure; absent: 200 to 299.", status),
                    false,
                    {"expected_status"}}});
}

/// The fields that say what a step does.
std::vector<Field> kind_fields() {
    static const Shape tool_name = text("", 256);
    static const Shape tool_call =
        object("", {{"name", text("Its name, as agents call it.", 256), true, {"tool"}},
                    {"arguments", arguments("Its arguments."), false, {"args", "input", "with"}}});
    return {
        {"llm", llm_shape(), false, {"model", "prompt", "chat"}},
        {"tool",
         either("Calls a tool under the agent's policy. Output: the tool's.",
                {&tool_call, &tool_name}),
         false,
         {"uses"}},
        {"code", code_shape(), false, {"run", "script", "container"}},
        {"http", http_shape(), false, {"request", "url"}},
        {"memory", object("Asks or changes memories. Output: what the operation gives.",
                          {{"operation",
                            name("A memory tool: memory_add, memory_search ..."),
                            true,
                            {"do", "name"}},
                           {"arguments", arguments("Its arguments."), false, {"args", "with"}}})},
        {"call",
         object("Calls a function that the program registered.",
                {{"function", name("Its name."), true, {"name"}},
                 {"arguments", arguments("Its arguments."), false, {"args", "with"}}}),
         false,
         {"native", "function"}},
        {"worker",
         object("Waits for a worker outside to do it.",
                {{"queue", name("What the worker listens to."), true},
                 {"function", name("What it is to do."), true, {"name"}},
                 {"arguments", arguments("Its arguments."), false, {"args", "with"}}}),
         false,
         {"activity", "task"}},
        {"human", human_shape(), false, {"approve", "approval", "suspend"}},
        {"wait", wait_shape(), false, {"sleep", "delay", "timer"}},
        {"branch", branch_shape(), false, {"choose", "condition"}},
        {"switch", switch_shape(), false, {"match", "case"}},
        {"for_each", for_each_shape(), false, {"foreach", "loop", "map", "matrix", "withItems"}},
        {"while", while_shape(), false, {"loop_while", "until", "repeat"}},
        {"parallel", parallel_shape()},
        {"subflow", subflow_shape(), false, {"workflow", "sub_workflow"}},
        {"emit", emit_shape(), false, {"signal", "event", "send"}},
        {"set",
         map("Values under names that later steps see as vars.<name>.", any_element()),
         false,
         {"vars", "assign", "env"}},
        {"end", end_shape(), false, {"stop", "return", "fail", "exit"}},
    };
}

Shape retry_shape() {
    static const Shape code =
        word("", {"failed_precondition", "resource_exhausted", "deadline_exceeded", "unavailable",
                  "data_loss", "internal", "not_found", "permission_denied", "unauthenticated",
                  "invalid_argument", "already_exists", "payload_too_large", "cancelled",
                  "unimplemented"});
    static const Shape full = object(
        "", {{"attempts",
              integer("At most so many, the first included.", 1, 1'000'000),
              false,
              {"max", "limit", "max_attempts"}},
             {"backoff", duration("Before the second attempt."), false, {"delay", "interval"}},
             {"factor", number("Each wait is so many times the one before.", 1, 1000)},
             {"max_backoff", duration("No wait is longer.")},
             {"jitter", number("Share of the wait that chance decides.", 0, 1)},
             {"on", list("Codes of errors; absent: those that time may heal.", code)}});
    static const Shape attempts = integer("Attempts.", 1, 1'000'000);
    return either("When an attempt fails. Absent: 3 attempts, after 1 s and 2 s.",
                  {&full, &attempts});
}

Shape on_error_shape() {
    static const Shape word_shape = word("", {"fail", "skip", "pause", "compensate"});
    static const Shape jump =
        object("", {{"goto", step_id("A step of the same block."), true, {"go_to", "step"}}});
    return either(
        "When the last attempt has failed: the run fails, goes on without the step, waits "
        "for a person, goes to a step, or undoes what has `compensate` and fails.",
        {&word_shape, &jump});
}

Shape checkpoint_name() {
    return checked("Its name; 'last' stands for the newest of all.",
                   "letters, digits, '_', '-' and '.', other than 'last'",
                   "^(?!last$)[A-Za-z0-9][A-Za-z0-9_.-]*$",
                   [](std::string_view each) { return is_name(each) && each != "last"; });
}

Shape checkpoint_shape() {
    static const Shape name_only = checkpoint_name();
    static const Shape with_note =
        object("", {{"name", checkpoint_name(), true},
                    {"summary", any("What was reached, in a sentence.")},
                    {"state", any("What must be known to go on.")},
                    {"result", any("What there is so far.")},
                    {"reflection", any("What went well and what did not.")},
                    {"next", any("What comes next."), false, {"next_steps"}}});
    return either("Once the step is done the run can go on from here under this name.",
                  {&name_only, &with_note});
}

const Shape& undo_shape() {
    static const Shape shape = [] {
        Shape out = object("Undoes the step when a later one fails for good.",
                           {{"retry", retry_shape()},
                            {"timeout", duration("Of one attempt.")},
                            {"idempotency_key", any("See the step's.")}});
        for (Field& field : kind_fields()) {
            if (std::ranges::count(kUndoKinds, field.name) > 0) out.fields.push_back(field);
        }
        out.one_field.assign(kUndoKinds.begin(), kUndoKinds.end());
        out.name = "undo";
        return out;
    }();
    return shape;
}

/// Steps hold steps: blocks point at this, which definition_shape() fills.
Shape& step_storage() {
    static Shape shape;
    return shape;
}

Shape step_shape() {
    static const Shape one_name = step_id("");
    static const Shape names = list("", one_name);
    Shape shape = object(
        "One step: what it does, in one of the fields named after its kind, and how.",
        {{"id", step_id("Its name, once in the file; expressions find it as steps.<id>. Absent: "
                        "made of the kind and its place, which changes when steps are added.")},
         {"title", text("For people.", 1024), false, {"name", "description", "label"}},
         {"if", expression("False: the step is skipped."), false, {"when", "condition"}},
         {"depends_on",
          either("Steps of the same block that are done before. When a block uses it, "
                 "steps without it start at once; else each follows the one before.",
                 {&names, &one_name}),
          false,
          {"needs", "dependencies", "after", "dependsOn"}},
         {"retry", retry_shape(), false, {"retries", "retry_policy", "retryStrategy"}},
         {"timeout",
          duration("Of one attempt; of waits and people, of the whole wait. 0: none. "
                   "Absent: 5m, none for what waits or holds steps."),
          false,
          {"timeout-minutes", "timeout_seconds", "deadline"}},
         {"on_error", on_error_shape(), false, {"continue-on-error", "on_failure", "catch"}},
         {"compensate",
          {.type = Type::same, .element = &undo_shape()},
          false,
          {"undo", "rollback", "compensation"}},
         {"output_schema", any("JSON Schema that the output must satisfy.")},
         {"checkpoint", checkpoint_shape()},
         {"queue", name("One of `queues`: bounds what runs at once."), false, {"concurrency"}},
         {"priority", integer("In queues; absent: the run's.", -1'000'000, 1'000'000)},
         {"idempotency_key", any("Sent with outside calls instead of one made of run and step.")}});
    shape.name = "step";
    shape.noun = "step";
    shape.noun_field = "id";
    shape.one_field.assign(kStepKinds.begin(), kStepKinds.end());
    for (Field& field : kind_fields()) shape.fields.push_back(std::move(field));
    return shape;
}

const Shape& steps_shape() {
    static const Shape shape = {.type = Type::list,
                                .doc = "Steps, one after another unless they say otherwise.",
                                .length_min = 1,
                                .length_max = 2000,
                                .element = &step_storage()};
    return shape;
}

const Shape& queue_element() {
    static const Shape shape = object(
        "", {{"concurrency", integer("Steps at once; 0: any number.", 0, 4294967295.0)},
             {"per_second", number("Starts a second; 0: any number.", 0, 1e9), false, {"rate"}},
             {"per_minute", number("Starts a minute, instead.", 0, 1e9)}});
    return shape;
}

const Shape& schedule_element() {
    static const Shape shape = [] {
        Shape out = object(
            "",
            {{"name", name("One of the workflow's. Absent: its place in the list.")},
             {"cron", cron("When a run starts."), false, {"schedule"}},
             {"every", duration("Instead: so long after each other."), false, {"interval"}},
             {"zone",
              text("Whose clock cron means: Europe/Berlin, or an offset as +02:00. Absent: UTC.",
                   64),
              false,
              {"timezone", "tz", "offset"}},
             {"jitter", duration("Each moment is put off by up to so much.")},
             {"overlap",
              word("When its last run is not over: skip the moment (absent), queue behind it, or "
                   "allow both.",
                   {"skip", "queue", "allow"})},
             {"catch_up",
              word("Of moments that passed while nothing ran: none, the last (absent), or all.",
                   {"none", "last", "all"})},
             {"catch_up_max", integer("Of all: the latest so many. Absent: 100.", 1, 10'000)},
             {"input", any("Of the run.")}});
        out.one_field = {"cron", "every"};
        return out;
    }();
    return shape;
}

}  // namespace

std::span<const std::string_view> step_kinds() {
    return kStepKinds;
}

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= 128 && text[0] != '_' && text[0] != '-' &&
           text[0] != '.' && std::ranges::all_of(text, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == '-' || c == '.';
           });
}

bool is_step_id(std::string_view text) {
    return !text.empty() && text.size() <= 128 && !(text[0] >= '0' && text[0] <= '9') &&
           std::ranges::all_of(text, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_';
           });
}

const Shape& definition_shape() {
    static const Shape shape = [] {
        step_storage() = step_shape();
        Shape out = object(
            "A workflow.",
            {{"name", name("What runs are started by."), true, {"id", "workflow"}},
             {"description", text("For people.", 16'384)},
             {"input",
              any("JSON Schema of the input; `default`s of its properties are filled in."),
              false,
              {"inputs", "parameters", "params", "on"}},
             {"steps", steps_shape(), true, {"jobs", "nodes", "tasks"}},
             {"output",
              any("What the run gives; absent: the last step's output."),
              false,
              {"outputs", "result"}},
             {"output_schema", any("JSON Schema that the output must satisfy.")},
             {"queues", map("Bounds on what runs at once, by name.", queue_element())},
             {"queue", name("One of `queues` that whole runs wait in.")},
             {"priority", integer("Higher runs first.", -1'000'000, 1'000'000)},
             {"schedules",
              list("When runs start by themselves.", schedule_element()),
              false,
              {"schedule", "crons", "triggers"}},
             {"deadline", duration("A run that takes longer fails."), false, {"timeout"}},
             {"budget", object("A run that needs more fails.",
                               {{"tokens", integer("Tokens of models, in and out.")},
                                {"cost_usd", number("Money.", 0, 1e12), false, {"cost"}},
                                {"steps", integer("Steps, rounds of loops included.")}})},
             {"labels", map("For people and filters.", scalar_element(), 64), false, {"tags"}}});
        out.noun = "workflow";
        out.noun_field = "name";
        out.name = "workflow";
        return out;
    }();
    return shape;
}

base::json::object definition_schema() {
    return base::json_schema(definition_shape(), "urn:dougong:schema:workflow:1",
                             "Dougong workflow");
}

}  // namespace flow
