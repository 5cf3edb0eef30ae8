#include "base/template/template.h"

#include "base/template/object_methods.h"

#include <gtest/gtest.h>

namespace {

using base::json::object;

std::string render(std::string_view source, const object& variables = {},
                   const base::RenderOptions& options = {}) {
    const auto parsed = base::Template::parse(source);
    if (!parsed) return "parse error: " + parsed.error().message;
    const auto rendered = parsed->render(variables, options);
    return rendered ? *rendered : "render error: " + rendered.error().message;
}

/// Each line of a case: what to render, and what must come out.
struct Case {
    std::string_view source;
    std::string_view expected;
};

void expect_all(std::initializer_list<Case> cases, const object& variables = {}) {
    for (const Case& one : cases)
        EXPECT_EQ(render(one.source, variables), one.expected) << one.source;
}

TEST(Template, PrintsValuesAsPythonDoes) {
    expect_all({{"{{ 1 }} {{ 1.0 }} {{ 1e20 }} {{ 1e-5 }} {{ 0.1 + 0.2 }} {{ 1e16 }}",
                 "1 1.0 1e+20 1e-05 0.30000000000000004 1e+16"},
                {"{{ true }} {{ False }} {{ none }} [{{ missing }}]", "True False None []"},
                {"{{ [1, 'a', none, (1,), {'k': 2.5}] }}", "[1, 'a', None, (1,), {'k': 2.5}]"},
                {"{{ ['it\\'s', 'a\"b', 'a\\nb'] }}", "[\"it's\", 'a\"b', 'a\\nb']"}});
}

TEST(Template, DividesAndTakesPowersAsPythonDoes) {
    expect_all({{"{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 1 / 2 }} {{ 2 ** 10 }}",
                 "3 -4 2 -2 0.5 1024"},
                {"{{ 2 ** -1 }} {{ 7.5 // 2 }} {{ -1|abs }} {{ 'ab' * 3 }} {{ [1] + [2] }}",
                 "0.5 3.0 1 ababab [1, 2]"},
                {"{{ 1 < 2 < 3 }} {{ 3 > 2 > 2 }} {{ 1 == 1.0 }} {{ true == 1 }}",
                 "True False True True"}});
}

TEST(Template, ReportsArithmeticThatHasNoAnswer) {
    for (const std::string_view source :
         {"{{ 1 / 0 }}", "{{ 1 % 0 }}", "{{ 9223372036854775807 + 1 }}", "{{ 2 ** 64 }}",
          "{{ -9223372036854775807 - 2 }}", "{{ 'a' + 1 }}", "{{ 'a' < 1 }}",
          "{{ missing + 1 }}"}) {
        EXPECT_NE(render(source).find("render error: line 1"), std::string::npos) << source;
    }
}

TEST(Template, SlicesWithNegativeStepsAndMissingBounds) {
    expect_all(
        {{"{{ 'abcdef'[1:4] }} {{ 'abcdef'[::-1] }} {{ 'abcdef'[-2:] }} {{ 'abcdef'[4:1:-2] }}",
          "bcd fedcba ef ec"},
         {"{{ [1,2,3,4][1:] }} {{ [1,2,3,4][:-1] }} {{ [1,2,3][::-1] }} {{ [1,2][5:] }}",
          "[2, 3, 4] [1, 2, 3] [3, 2, 1] []"},
         {"{{ 'äöü'[1] }} {{ 'äöü'[-1] }} {{ 'äöü'[::2] }} {{ 'äöü'|length }}", "ö ü äü 3"}});
}

TEST(Template, ControlsWhitespaceAsHuggingFaceSetsIt) {
    expect_all({{"a\n  {% if true %}\n  b\n  {% endif %}\nc\n", "a\n  b\nc"},
                {"a {%- if true -%} b {%- endif %} c", "ab c"},
                {"  {{ 1 }}\n", "  1"},
                {"{{ 1 }}\n\n", "1\n"},
                {"a\n  {# note #}\nb", "a\nb"},
                {"a\n{%+ if true %}b{% endif %}", "a\nb"},
                {"x{% if true %}\r\ny{% endif %}", "xy"},
                {"{% raw %}{{ x }} {% if %}{% endraw %}!", "{{ x }} {% if %}!"}});
}

TEST(Template, LoopsKnowWhereTheyAre) {
    expect_all(
        {{"{% for i in 'abc' %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.first }}"
          "{{ loop.last }}{{ loop.length }} {% endfor %}",
          "103TrueFalse3 212FalseFalse3 321FalseTrue3 "},
         {"{% for i in [1,2,3] %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }} {% endfor %}",
          "<1>2 1<2>3 2<3> "},
         {"{% for i in range(6) if i is odd %}{{ loop.index }}:{{ i }} {% endfor %}",
          "1:1 2:3 3:5 "},
         {"{% for i in [] %}x{% else %}empty{% endfor %}", "empty"},
         {"{% for i in [1,1,2] %}{{ loop.changed(i) }}{{ loop.cycle('a','b') }} {% endfor %}",
          "Truea Falseb Truea "},
         {"{% for k, v in {'x': 1, 'y': 2}.items() %}{{ k }}{{ v }}{% endfor %}", "x1y2"},
         {"{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 4 %}{% break "
          "%}"
          "{% endif %}{{ i }}{% endfor %}",
          "013"},
         {"{% for n in [[1,[2,[3]]]] recursive %}{% if n is iterable %}({{ loop(n) }}){% else %}{{ "
          "n "
          "}}@{{ loop.depth }}{% endif %}{% endfor %}",
          "(1@2(2@3(3@4)))"}});
}

TEST(Template, AssignmentsStayInsideTheirLoop) {
    expect_all(
        {{"{% set x = 1 %}{% for i in [2] %}{% set x = i %}{% endfor %}{{ x }}", "1"},
         {"{% set n = namespace(x=1) %}{% for i in [2] %}{% set n.x = i %}{% endfor %}{{ n.x }}",
          "2"},
         {"{% if true %}{% set x = 3 %}{% endif %}{{ x }}", "3"},
         {"{% set a, b = 1, 2 %}{{ b }}{{ a }}", "21"},
         {"{% set t %}a{{ 1 }}{% endset %}{{ t }}", "a1"},
         {"{% set t | upper %}a{% endset %}{{ t }}", "A"},
         {"{% with a=1, b=2 %}{{ a + b }}{% endwith %}[{{ a }}]", "3[]"}});
}

TEST(Template, MacrosTakeDefaultsNamesAndCallers) {
    expect_all(
        {{"{% macro m(a, b=2) %}{{ a }}-{{ b }}{% endmacro %}{{ m(1) }} {{ m(b=3, a=4) }}",
          "1-2 4-3"},
         {"{% macro m() %}[{{ caller('x') }}]{% endmacro %}{% call(y) m() %}{{ y }}!{% endcall %}",
          "[x!]"},
         {"{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, k=2) }}", "(1,){'k': 2}"},
         {"{% macro f(n) %}{{ n if n < 2 else n * (f(n - 1)|int) }}{% endmacro %}{{ f(5) }}",
          "120"},
         {"{% filter upper %}a{{ 'b' }}{% endfilter %}", "AB"}});
}

TEST(Template, FiltersSequences) {
    expect_all({{"{{ [3,1,2]|sort }} {{ ['b','A']|sort }} {{ [1,2]|reverse|list }} {{ "
                 "[1,2,1]|unique|list }}",
                 "[1, 2, 3] ['A', 'b'] [2, 1] [1, 2]"},
                {"{{ m|map(attribute='r')|join(',') }} {{ "
                 "m|selectattr('n','gt',1)|map(attribute='r')|list }} "
                 "{{ m|rejectattr('n')|list|length }}",
                 "a,b ['b'] 0"},
                {"{{ [1,2,3]|select('odd')|list }} {{ [1,2]|map('string')|list }} {{ [1,2]|sum }} "
                 "{{ [4,9,2]|max }} {{ [4,9,2]|min }} {{ [1,2,3]|first }} {{ [1,2,3]|last }}",
                 "[1, 3] ['1', '2'] 3 9 2 1 3"},
                {"{{ {'b':1,'A':2}|dictsort }} {{ {'b':1,'A':0}|dictsort(by='value') }} {{ "
                 "{'a':1}|items|list "
                 "}}",
                 "[('A', 2), ('b', 1)] [('A', 0), ('b', 1)] [('a', 1)]"},
                {"{{ [1,2,3]|batch(2)|list }} {{ none|map('upper')|list }}", "[[1, 2], [3]] []"}},
               {{"m", {{{"r", "a"}, {"n", 1}}, {{"r", "b"}, {"n", 2}}}}});
}

TEST(Template, FiltersTexts) {
    expect_all(
        {{"{{ ' a b '|trim }}|{{ 'xax'|trim('x') }}|{{ 'a b-c'|title }}|{{ 'aB'|capitalize }}",
          "a b|a|A B-C|Ab"},
         {"{{ 'a\nb\n\nc'|indent }}", "a\n    b\n\n    c"},
         {"{{ 'a\nb'|indent(2, true) }}", "  a\n  b"},
         {"{{ 'aXbX'|replace('X', '-') }} {{ missing|default('d') }} {{ ''|default('d', true) }}",
          "a-b- d d"},
         {"{{ '3'|int + 1 }} {{ 'x'|int }} {{ '2.5'|float }} {{ 2.5|round }} {{ 2.567|round(2) }}",
          "4 0 2.5 2.0 2.57"},
         {"{{ '<a href=\"x\">'|e }} {{ '%s=%03d'|format('a', 7) }} {{ 'ÄÖ'|lower }} {{ "
          "'größe'|upper }}",
          "&lt;a href=&#34;x&#34;&gt; a=007 äö GRÖSSE"}});
}

TEST(Template, WritesJsonAsPythonDoes) {
    expect_all(
        {{"{{ v|tojson }}", R"({"a": [1, 2.0, true, null], "b": "é\"\n"})"},
         {"{{ v|tojson(ensure_ascii=true) }}", R"({"a": [1, 2.0, true, null], "b": "\u00e9\"\n"})"},
         {"{{ v|tojson(separators=(',', ':')) }}", R"({"a":[1,2.0,true,null],"b":"é\"\n"})"},
         {"{{ {'k': [], 'o': {}, 'l': [1]}|tojson(indent=2) }}",
          "{\n  \"k\": [],\n  \"o\": {},\n  \"l\": [\n    1\n  ]\n}"}},
        {{"v", {{"a", {1, 2.0, true, nullptr}}, {"b", "é\"\n"}}}});
}

TEST(Template, HasPythonsStringMethods) {
    expect_all(
        {{"{{ 'a,b,c'.split(',', 1) }} {{ ' a  b '.split() }} {{ 'a,b'.rsplit(',')[-1] }}",
          "['a', 'b,c'] ['a', 'b'] b"},
         {"{{ 'xxaxx'.strip('x') }} {{ 'xxa'.lstrip('x') }} {{ 'abc'.startswith(('z','a')) }}",
          "a a True"},
         {"{{ '{} {1} {n:>3}'.format(1, 2, n=3) }} {{ 'abcb'.find('b') }} {{ 'ab'.upper() }}",
          "1 2   3 1 AB"},
         {"{{ ','.join(['a','b']) }} {{ 'aab'.replace('a', 'x', 1) }} {{ 'a1'.isalnum() }}",
          "a,b xab True"},
         {"{{ 'a-b'.partition('-') }} {{ 'x'.zfill(3) }} {{ 'ab'.removeprefix('a') }}",
          "('a', '-', 'b') 00x b"}});
}

TEST(Template, HasPythonsListAndDictMethods) {
    expect_all(
        {{"{% set l = [1] %}{{ l.append(2) }}{% do l.extend([3]) %}{{ l }}{{ l.pop() }}{{ l }}",
          "None[1, 2, 3]3[1, 2]"},
         {"{% set d = {'a': 1} %}{{ d.get('a') }}{{ d.get('z') }}{{ d.get('z', 0) }}{% do "
          "d.update({'b': 2}) %}{{ d }}{{ d.pop('a') }}{{ d }}{{ d.keys()|list }}",
          "1None0{'a': 1, 'b': 2}1{'b': 2}['b']"},
         {"{{ {'items': 1}['items'] }} {{ 'a' in {'a': 1} }} {{ 2 not in [1] }}", "1 True True"}});
}

TEST(Template, TestsValues) {
    expect_all(
        {{"{{ x is defined }}{{ y is defined }}{{ none is none }}{{ x is not none }}",
          "TrueFalseTrueTrue"},
         {"{{ 'a' is string }}{{ {} is mapping }}{{ [] is iterable }}{{ 1 is number }}{{ 1.0 is "
          "float }}",
          "TrueTrueTrueTrueTrue"},
         {"{{ true is boolean }}{{ 1 is integer }}{{ true is integer }}{{ 4 is divisibleby 2 }}",
          "TrueTrueFalseTrue"},
         {"{{ 1 is in [1] }}{{ 1 is eq 1 }}{{ not x is defined }}{{ raise_exception is callable }}",
          "TrueTrueFalseTrue"}},
        {{"x", 1}});
}

TEST(Template, ShowsTheTimeItIsGiven) {
    base::RenderOptions options;
    options.now_unix_s = 1'783'141'567;
    EXPECT_EQ(render("{{ strftime_now('%d %b %Y %H:%M:%S %A %j %p') }}", {}, options),
              "04 Jul 2026 05:06:07 Saturday 185 AM");
    options.utc_offset_s = -6 * 3600;
    EXPECT_EQ(render("{{ strftime_now('%Y-%m-%d %-d %I%p') }}", {}, options), "2026-07-03 3 11PM");
}

TEST(Template, HelpersKeepTheirState) {
    expect_all(
        {{"{% set j = joiner('|') %}{% for i in [1,2,3] %}{{ j() }}{{ i }}{% endfor %}", "1|2|3"},
         {"{% set c = cycler('a','b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}",
          "abab"},
         {"{{ dict(a=1) }} {{ range(3) }} {{ range(5, 0, -2)|list }}",
          "{'a': 1} [0, 1, 2] [5, 3, 1]"}});
}

TEST(Template, ParseErrorsNameLineAndColumn) {
    const std::pair<std::string_view, std::string_view> cases[] = {
        {"a\n{{ 1 + }}", "line 2, column 8"},     {"{% if x %}", "endif"},
        {"{% include 'x' %}", "not supported"},   {"{% nonsense %}", "unknown tag"},
        {"{{ 'abc", "string has no end"},         {"{# abc", "comment has no end"},
        {"{% break %}", "outside a for loop"},    {"{{ x", "tag has no end"},
        {"{% for x in %}{% endfor %}", "line 1"}, {"{{ a ? b }}", "unexpected character"}};
    for (const auto& [source, expected] : cases) {
        const auto parsed = base::Template::parse(source);
        ASSERT_FALSE(parsed.has_value()) << source;
        EXPECT_EQ(parsed.error().code, base::Code::invalid_argument);
        EXPECT_NE(parsed.error().message.find(expected), std::string::npos)
            << parsed.error().message;
        EXPECT_FALSE(parsed.error().subject.empty());
    }
}

TEST(Template, TakesNumbersAtTheEdgeOfTheirRange) {
    EXPECT_EQ(render("{{ 'abc'|truncate(10, true, '..', -20) }}"), "abc..");
    EXPECT_EQ(render("{{ 'abc'|truncate(9223372036854775807) }}"), "abc");
    EXPECT_EQ(render("{{ 'a b c'|truncate(-9223372036854775807, leeway=-9) }}"), "...");
    EXPECT_NE(render("{{ 1.5|round(-9223372036854775807 - 1) }}").find("precision"),
              std::string::npos);
}

TEST(Template, RaisedExceptionsCarryTheirMessage) {
    EXPECT_NE(render("\n{{ raise_exception('roles must alternate') }}").find("line 2, column 4"),
              std::string::npos);
    EXPECT_NE(render("{{ raise_exception('roles must alternate') }}").find("roles must alternate"),
              std::string::npos);
}

/// Hostile templates end in an error of this kind.
void expect_exhausted(std::string_view source) {
    const auto parsed = base::Template::parse(source);
    ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
    base::RenderOptions options;
    options.limits.memory_bytes_max = 16u << 20;
    options.limits.output_bytes_max = 4u << 20;
    options.limits.steps_max = 2'000'000;
    const auto rendered = parsed->render({}, options);
    ASSERT_FALSE(rendered.has_value()) << source;
    EXPECT_EQ(rendered.error().code, base::Code::resource_exhausted) << rendered.error().message;
}

TEST(Template, LimitsStopHostileTemplates) {
    for (const std::string_view source : {
             "{% for i in range(100000000) %}{% endfor %}",
             "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
             "{{ 'a' * 100000000 }}",
             "{{ [0] * 100000000 }}",
             "{% set n = namespace(s='aaaaaaaa') %}{% for i in range(99) %}{% set n.s = n.s + n.s "
             "%}"
             "{% endfor %}",
             "{% set l = [1] %}{% for i in range(99) %}{% do l.extend(l) %}{% endfor %}",
             "{% set n = namespace(l=[1,2]) %}{% for i in range(60) %}{% set n.l = [n.l, n.l] %}"
             "{% endfor %}{{ n.l }}",
             "{% set n = namespace(l=[1,2]) %}{% for i in range(60) %}{% set n.l = [n.l, n.l] %}"
             "{% endfor %}{{ n.l|tojson }}",
             "{% set l = [] %}{% do l.append(l) %}{{ l }}",
             "{% set l = [] %}{% do l.append(l) %}{{ l|tojson }}",
             "{% set l = [] %}{% do l.append(l) %}{{ l == [[[[l]]]] and l < l }}",
             "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
             "{% for i in range(99999) %}{{ 'some longer text' * 100 }}{% endfor %}",
             "{{ ('a' * 1000000).replace('', 'b' * 1000000) }}",
             "{% set a = 'a' * 4000000 %}{% for i in range(100000) %}{% if a|length %}{% endif %}"
             "{% endfor %}",
             "{% set a, b = 'a' * 4000000, 'a' * 4000000 %}{% for i in range(100000) %}"
             "{% if a == b or a is lower %}{% endif %}{% endfor %}",
             "{% set a, d = 'a' * 4000000, {} %}{% for i in range(100000) %}{% if a in d %}"
             "{% endif %}{% endfor %}",
             "{{ ('a' * 8000000).find('a' * 4000000 ~ 'b') }}",
             "{{ ('a' * 4000000 ~ 'b') in 'a' * 8000000 }}",
             "{{ ('a' * 8000000).replace('a' * 4000000 ~ 'b', '') }}",
             "{{ ('a' * 8000000).strip('b' * 4000000 ~ 'a') }}",
             "{{ ('x' * 9000)|indent(9000) ~ ('\n' * 9000)|indent(9000, true, true) }}",
         }) {
        expect_exhausted(source);
    }
}

TEST(Template, RefusesSourcesNestedTooDeep) {
    for (const std::string& source :
         {"{{ " + std::string(100'000, '(') + " }}", "{{ " + std::string(100'000, '[') + " }}",
          "{{ " + std::string(100'000, '-') + "1 }}"}) {
        EXPECT_FALSE(base::Template::parse(source).has_value());
    }
    std::string deep;
    for (int i = 0; i < 10'000; ++i) deep += "{% if x %}";
    EXPECT_FALSE(base::Template::parse(deep).has_value());
    std::string long_sum = "{{ 0";
    for (int i = 0; i < 50'000; ++i) long_sum += " + 1";
    EXPECT_EQ(render(long_sum + " }}"), "50000");
}

TEST(Expression, EvaluatesToJson) {
    const object given{{"steps", {{"fetch", {{"status", 200}, {"tags", {"a", "b"}}}}}},
                       {"retries", 2}};
    EXPECT_EQ(base::evaluate("steps.fetch.status == 200 and retries < 3", given).value(), true);
    EXPECT_EQ(base::evaluate("steps.fetch.tags|map('upper')|list", given).value(),
              base::json::value({"A", "B"}));
    EXPECT_EQ(base::evaluate("{'n': retries + 1, 'none': missing}", given).value(),
              base::json::value({{"n", 3}, {"none", nullptr}}));
    EXPECT_EQ(base::evaluate("1, 2.5", {}).value(), base::json::value({1, 2.5}));
}

TEST(Expression, TestsAsPythonTruth) {
    const auto truth = [](std::string_view source) {
        return base::Expression::parse(source).value().test({}).value();
    };
    EXPECT_TRUE(truth("[0]"));
    EXPECT_FALSE(truth("[] or {} or '' or 0 or 0.0 or none or missing"));
}

TEST(Expression, ErrorsNameThePlace) {
    EXPECT_NE(base::Expression::parse("1 +").error().message.find("line 1, column 4"),
              std::string::npos);
    EXPECT_FALSE(base::Expression::parse("1 2").has_value());
    EXPECT_FALSE(base::evaluate("a.b.c", {{"a", object{}}}).has_value());
}

/// Two values under one name, one of which may not be touched.
class TwoOutputs final : public base::Variables {
public:
    const base::json::value* find(std::span<const std::string_view> path,
                                  std::size_t& used) const override {
        if (path[0] != "steps") return nullptr;
        used = 1;
        if (path.size() < 2) return &whole_;
        if (path[1] == "later") {
            used = path.size();
            return nullptr;
        }
        used = 2;
        asked.emplace_back(path[1]);
        return path[1] == "small" ? &small_ : nullptr;
    }
    mutable std::vector<std::string> asked;

private:
    base::json::value small_ = {{"rows", {1, 2, 3}}, {"items", "an entry"}};
    base::json::value whole_ = {{"small", {{"rows", {1, 2, 3}}}}, {"items", 7}};
};

TEST(Variables, APathIsAskedAsAWhole) {
    const TwoOutputs variables;
    const auto value = [&](std::string_view text) {
        return base::to_text(*base::Expression::parse(text)->evaluate(variables));
    };
    EXPECT_EQ(value("steps.small.rows[1]"), "2");
    EXPECT_EQ(variables.asked, std::vector<std::string>{"small"});
    EXPECT_EQ(value("steps.small.rows | sum"), "6");
    EXPECT_EQ(value("steps.none is undefined"), "true");
    EXPECT_EQ(value("steps | length"), "2");
    EXPECT_EQ(value("steps.later.output.rows | default(5)"), "5");
    EXPECT_EQ(value("steps.later.output.state != 'done'"), "true");
    EXPECT_EQ(value("steps.small.items() | length"), "2") << "a method, as in an object";
    EXPECT_EQ(value("steps.items() | length"), "2");
    EXPECT_TRUE(base::is_object_method("items"));
    EXPECT_FALSE(base::is_object_method("rows"));
    EXPECT_FALSE(base::Expression::parse("steps.none.rows")->evaluate(variables).has_value());
}

std::vector<std::string> paths(const std::vector<base::VariableUse>& uses) {
    std::vector<std::string> out;
    for (const base::VariableUse& use : uses) {
        std::string text;
        for (const std::string& name : use.path) text += (text.empty() ? "" : ".") + name;
        out.push_back(text + (use.open ? ".*" : ""));
    }
    return out;
}

TEST(Variables, AreNamedWithWhatIsAskedOfThem) {
    const auto of = [](std::string_view text) {
        return paths(base::Expression::parse(text).value().variables());
    };
    EXPECT_EQ(of("a.b['c'] + d[e.f].g"), (std::vector<std::string>{"a.b.c", "e.f", "d.*"}));
    EXPECT_EQ(of("range(n) | map(attribute='x')"), (std::vector<std::string>{"n"}));
    EXPECT_EQ(of("a.f(b) if c is defined else 1"), (std::vector<std::string>{"a.f", "b", "c"}));
    const auto use = base::Expression::parse("1 +\n  zz.y").value().variables().at(0);
    EXPECT_EQ(use.line, 2u);
    EXPECT_EQ(use.column, 3u);
}

TEST(Variables, OfATemplateLeaveOutItsOwn) {
    const auto of = [](std::string_view text) {
        return paths(base::Template::parse(text).value().variables());
    };
    EXPECT_EQ(of("{% for x in items %}{{ x.a }}{{ loop.index }}{{ y }}{% endfor %}"),
              (std::vector<std::string>{"items", "y"}));
    EXPECT_EQ(of("{% set s = a.b %}{{ s }}{% if c %}{{ d }}{% endif %}"),
              (std::vector<std::string>{"a.b", "c", "d"}));
}

}  // namespace
