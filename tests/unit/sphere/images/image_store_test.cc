#include "sphere/images/image_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <optional>

#include "image_fixture.h"
#include "support/seeds.h"

namespace sphere::images {
namespace {

namespace fs = std::filesystem;
namespace json = base::json;
using base::Code;
using test::gzipped;
using test::LayoutFolder;
using test::SavedImage;
using test::TarText;
using test::zstd_packed;

class Images : public ::testing::Test {
protected:
    ImageStoreOptions options() const { return {.folder = folder_.file("images")}; }
    /// The root of what `layers` make.
    std::string unpack(const std::vector<std::string>& layers) {
        const LayoutFolder layout(folder_.file("layout"));
        const auto image = store_.open(layout.image(layers));
        EXPECT_TRUE(image) << image.error().message;
        return image ? (*image)->root : "";
    }
    Code refusal(const std::vector<std::string>& layers, const ImageLimits& limits = {}) {
        const LayoutFolder layout(folder_.file("layout"));
        ImageStoreOptions own = options();
        own.limits = limits;
        ImageStore store(own);
        const auto image = store.open(layout.image(layers));
        return image ? Code::internal : image.error().code;
    }
    static std::uint32_t mode(const std::string& path) {
        struct stat facts {};
        EXPECT_EQ(::lstat(path.c_str(), &facts), 0) << path;
        return facts.st_mode;
    }

    test::TempDir folder_;
    ImageStore store_{options()};
};

TEST_F(Images, LayersLieOnTopOfEachOther) {
    const std::string lower = TarText()
                                  .folder("etc")
                                  .file("etc/kept", "kept")
                                  .file("etc/gone", "gone")
                                  .file("etc/changed", "old")
                                  .folder("usr")
                                  .folder("usr/bin")
                                  .link("bin", "usr/bin")
                                  .link("abs", "/usr")
                                  .folder("opaque")
                                  .file("opaque/old", "old")
                                  .file("becomes-folder", "x")
                                  .folder("becomes-file")
                                  .file("becomes-file/in", "x")
                                  .done();
    const std::string upper = TarText()
                                  .file("etc/.wh.gone", "")
                                  .file("etc/changed", "new")
                                  .file("bin/tool", "tool", 0755)
                                  .file("abs/other", "other")
                                  .link("bin/same", "usr/bin/tool", '1')
                                  .file("opaque/new", "new")
                                  .file("opaque/.wh..wh..opq", "")  // after what it must not hide
                                  .folder("becomes-folder")
                                  .file("becomes-folder/in", "in")
                                  .file("becomes-file", "file")
                                  .file("not/said/before", "deep")
                                  .done();
    const std::string root = unpack({gzipped(lower), upper});
    EXPECT_EQ(test::read_text(root + "/etc/kept"), "kept");
    EXPECT_FALSE(fs::exists(root + "/etc/gone"));
    EXPECT_FALSE(fs::exists(root + "/etc/.wh.gone"));
    EXPECT_EQ(test::read_text(root + "/etc/changed"), "new");
    EXPECT_EQ(test::read_text(root + "/usr/bin/tool"), "tool");
    EXPECT_EQ(test::read_text(root + "/usr/bin/same"), "tool");
    EXPECT_EQ(test::read_text(root + "/usr/other"), "other");
    EXPECT_FALSE(fs::exists(root + "/opaque/old"));
    EXPECT_EQ(test::read_text(root + "/opaque/new"), "new");
    EXPECT_EQ(test::read_text(root + "/becomes-folder/in"), "in");
    EXPECT_EQ(test::read_text(root + "/becomes-file"), "file");
    EXPECT_EQ(test::read_text(root + "/not/said/before"), "deep");
    for (const char* name : {"dev", "proc", "tmp", "workspace"}) {
        EXPECT_TRUE(fs::is_directory(root + "/" + name)) << name;
    }
}

TEST_F(Images, ItIsUnpackedOnceAndItsDefaultsAreKept) {
    const LayoutFolder layout(folder_.file("layout"));
    const json::object config = {{"Env", json::array{"PATH=/bin", "A=b=c"}},
                                 {"WorkingDir", "/srv"},
                                 {"User", "nginx"},
                                 {"Entrypoint", json::array{"/run"}},
                                 {"Cmd", json::array{"x", "y"}}};
    layout.image({TarText().file("a", "1").done()}, config);
    const auto first = store_.open(layout.folder());
    ASSERT_TRUE(first) << first.error().message;
    const auto inode = fs::hard_link_count((*first)->root + "/a");
    struct stat before {
    }, after{};
    ASSERT_EQ(::stat(((*first)->root + "/a").c_str(), &before), 0);
    ImageStore other(options());
    const auto second = other.open(layout.folder());
    ASSERT_TRUE(second);
    ASSERT_EQ(::stat(((*second)->root + "/a").c_str(), &after), 0);
    EXPECT_EQ(before.st_ino, after.st_ino);
    EXPECT_EQ(inode, 1u);
    const ImageConfig& defaults = (*second)->config;
    EXPECT_EQ(defaults.environment.at("PATH"), "/bin");
    EXPECT_EQ(defaults.environment.at("A"), "b=c");
    EXPECT_EQ(defaults.working_directory, "/srv");
    EXPECT_EQ(defaults.user, "nginx");
    EXPECT_EQ(defaults.entrypoint, std::vector<std::string>{"/run"});
    EXPECT_EQ(defaults.command, (std::vector<std::string>{"x", "y"}));
}

TEST_F(Images, ATarballIsAnImageToo) {
    for (const bool packed : {false, true}) {
        const std::string text = TarText().file("./a", packed ? "1" : "2").done();
        const std::string path = folder_.file("root.tar");
        test::write_text(path, packed ? gzipped(text) : text);
        const auto image = store_.open(path);
        ASSERT_TRUE(image) << image.error().message;
        EXPECT_EQ((*image)->digest, *base::sha256_file(path));
        EXPECT_EQ(test::read_text((*image)->root + "/a"), packed ? "1" : "2");
    }
    EXPECT_EQ(store_.list().size(), 2u);
    EXPECT_EQ(store_.open(folder_.file("nothing")).error().code, Code::not_found);
    test::write_text(folder_.file("text"), "no archive at all");
    EXPECT_EQ(store_.open(folder_.file("text")).error().code, Code::invalid_argument);
    test::write_text(folder_.file("zstd"), "\x28\xb5\x2f\xfd and more");
    EXPECT_EQ(store_.open(folder_.file("zstd")).error().code, Code::invalid_argument);
}

TEST_F(Images, ZstdIsReadWhereGzipIs) {
    const std::string lower = TarText().file("a", "1").file("b", std::string(900'000, 'b')).done();
    const std::string upper = TarText().file(".wh.a", "").file("c", "3").done();
    // Two frames, as parallel packers write them.
    const std::string frames = zstd_packed(lower.substr(0, 700)) + zstd_packed(lower.substr(700));
    const std::string root = unpack({frames, zstd_packed(upper)});
    EXPECT_FALSE(fs::exists(root + "/a"));
    EXPECT_EQ(fs::file_size(root + "/b"), 900'000u);
    EXPECT_EQ(test::read_text(root + "/c"), "3");
    test::write_text(folder_.file("root.tar.zst"), zstd_packed(upper));
    EXPECT_TRUE(store_.open(folder_.file("root.tar.zst")));
    const std::string packed = zstd_packed(lower);
    EXPECT_EQ(refusal({packed.substr(0, packed.size() - 9)}), Code::invalid_argument);
    const std::string bomb = zstd_packed(TarText().file("a", std::string(8 << 20, '\0')).done());
    EXPECT_EQ(refusal({bomb}, {.ratio_max = 100}), Code::payload_too_large);
}

class SavedImages : public Images {
protected:
    base::Result<ImagePtr> open(const std::string& archive, const ImageLimits& limits = {}) {
        const std::string path = folder_.file("saved.tar");
        test::write_text(path, archive);
        ImageStoreOptions own = options();
        own.limits = limits;
        return ImageStore(own).open(path);
    }
    Code refused(const std::string& archive, const ImageLimits& limits = {}) {
        const auto image = open(archive, limits);
        if (image) return Code::internal;
        // Nothing of a refused one is left.
        for (const auto& entry : fs::directory_iterator(folder_.file("images"))) {
            ADD_FAILURE() << entry.path() << " after " << image.error().message;
        }
        return image.error().code;
    }
    static SavedImage some() {
        return {.layers = {TarText().file("etc/a", "old").file("etc/gone", "x").done(),
                           TarText().file("etc/a", "new").file("etc/.wh.gone", "").done()},
                .config = {{"Env", json::array{"A=b"}}, {"WorkingDir", "/etc"}}};
    }
};

TEST_F(SavedImages, DockerSaveIsAnImage) {
    const SavedImage saved = some();
    int tried = 0;
    for (const auto& archive :
         {saved.archive(), gzipped(saved.archive()), zstd_packed(saved.archive()),
          saved.archive(gzipped), saved.archive(zstd_packed)}) {
        fs::remove_all(folder_.file("images"));
        const auto image = open(archive);
        ASSERT_TRUE(image) << tried << ": " << image.error().message;
        EXPECT_EQ((*image)->digest, base::sha256_hex(saved.config_text()));
        EXPECT_EQ(test::read_text((*image)->root + "/etc/a"), "new");
        EXPECT_FALSE(fs::exists((*image)->root + "/etc/gone"));
        EXPECT_EQ((*image)->config.environment.at("A"), "b");
        EXPECT_EQ((*image)->config.working_directory, "/etc");
        std::size_t there = 0;
        for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder_.file("images"))) {
            ++there;
        }
        EXPECT_EQ(there, 1u) << "the parts of the archive are gone";
        ++tried;
    }
}

TEST_F(SavedImages, ALayerThatIsALinkToAnotherIsThatOne) {
    SavedImage saved = some();
    saved.layers[1] = saved.layers[0];
    TarText tar;
    tar.file(saved.folder(0) + "/layer.tar", saved.layers[0]);
    tar.link(saved.folder(1) + "/layer.tar", "../" + saved.folder(0) + "/layer.tar");
    tar.file(base::sha256_hex(saved.config_text()) + ".json", saved.config_text());
    tar.file("manifest.json", base::to_text(json::array{saved.entry()}));
    const auto image = open(tar.done());
    ASSERT_TRUE(image) << image.error().message;
    EXPECT_EQ(test::read_text((*image)->root + "/etc/a"), "old");
}

TEST_F(SavedImages, AnArchiveOfALayoutIsAnImage) {
    const LayoutFolder layout(folder_.file("layout"));
    layout.image({gzipped(TarText().file("a", "1").done())});
    TarText tar;
    for (const auto& entry : fs::recursive_directory_iterator(layout.folder())) {
        if (!entry.is_regular_file()) continue;
        tar.file(entry.path().string().substr(layout.folder().size() + 1),
                 test::read_text(entry.path().string()));
    }
    const auto image = open(tar.done());
    ASSERT_TRUE(image) << image.error().message;
    EXPECT_EQ(test::read_text((*image)->root + "/a"), "1");
    EXPECT_EQ((*image)->digest, (*store_.open(layout.folder()))->digest);
}

TEST_F(SavedImages, HostileOnesAreRefusedAndTouchNothing) {
    const std::string outside = folder_.file("outside");
    test::write_text(outside, "host");
    const SavedImage saved = some();
    const std::string manifest = base::to_text(json::array{saved.entry()});
    const std::string config = base::sha256_hex(saved.config_text()) + ".json";
    const auto with = [&](const std::function<void(TarText&)>& add) {
        TarText tar;
        add(tar);
        tar.file(config, saved.config_text()).file("manifest.json", manifest);
        return tar.done();
    };
    const auto layer = [&](TarText& tar, std::size_t i) {
        tar.file(saved.folder(i) + "/layer.tar", saved.layers[i]);
    };
    const std::string second = saved.folder(1) + "/layer.tar";
    const std::string up = "../../../../../../../../../../";
    // Layers that are links to the host, devices, not there, or links in a circle.
    for (const std::string& target :
         {outside, up + outside.substr(1), std::string("../.."), std::string("/dev/zero")}) {
        EXPECT_EQ(refused(with([&](TarText& tar) {
                      layer(tar, 0);
                      tar.link(second, target);
                  })),
                  Code::invalid_argument)
            << target;
    }
    EXPECT_EQ(refused(with([&](TarText& tar) {
                  layer(tar, 0);
                  tar.link(second, "layer.tar");
              })),
              Code::invalid_argument);
    EXPECT_EQ(refused(with([&](TarText& tar) {
                  layer(tar, 0);
                  tar.link(second, up + outside.substr(1), '1');
              })),
              Code::invalid_argument);
    EXPECT_EQ(refused(with([&](TarText& tar) {
                  layer(tar, 0);
                  tar.add({.name = second, .type = '3'});
              })),
              Code::invalid_argument);
    EXPECT_EQ(refused(with([&](TarText& tar) { layer(tar, 0); })), Code::invalid_argument);
    // A layer that is not what the configuration says, a configuration that its name does not fit.
    EXPECT_EQ(refused(with([&](TarText& tar) {
                  layer(tar, 0);
                  tar.file(second, saved.layers[0]);
              })),
              Code::invalid_argument);
    SavedImage other = saved;
    other.config = {{"Env", json::array{"A=evil"}}};
    TarText swapped;
    layer(swapped, 0);
    layer(swapped, 1);
    swapped.file(config, other.config_text()).file("manifest.json", manifest);
    EXPECT_EQ(refused(swapped.done()), Code::invalid_argument);
    // Several images, or none.
    for (const std::string& text :
         {base::to_text(json::array{saved.entry(), saved.entry()}), std::string("[]"),
          std::string("{}"), std::string("[1]"), std::string("no json"),
          std::string(R"([{"Config":"../../etc/passwd","Layers":[]}])"),
          std::string(R"([{"Config":1,"Layers":[1]}])")}) {
        TarText tar;
        layer(tar, 0);
        layer(tar, 1);
        tar.file(config, saved.config_text()).file("manifest.json", text);
        EXPECT_EQ(refused(tar.done()), Code::invalid_argument) << text;
    }
    SavedImage elsewhere = saved;
    elsewhere.architecture = "s390x";
    EXPECT_EQ(refused(elsewhere.archive()), Code::not_found);
    EXPECT_EQ(test::read_text(outside), "host");
}

TEST_F(SavedImages, LimitsHoldOverTheWholeArchive) {
    SavedImage saved = some();
    EXPECT_EQ(refused(saved.archive(), {.bytes_max = 2000}), Code::payload_too_large);
    EXPECT_EQ(refused(saved.archive(), {.entries_max = 3}), Code::payload_too_large);
    saved.layers[1] = TarText().file("a", std::string(8 << 20, '\0')).done();
    for (const auto& pack : {gzipped, zstd_packed}) {
        EXPECT_EQ(refused(pack(saved.archive()), {.ratio_max = 100}), Code::payload_too_large);
        EXPECT_EQ(refused(saved.archive(pack), {.ratio_max = 100}), Code::payload_too_large);
    }
}

/// Damaged anywhere, an archive is refused or is the same image.
TEST_F(SavedImages, RandomDamageIsRefusedOrHarmless) {
    const SavedImage saved = some();
    test::for_each_seed(150, [&](base::Rng& rng) {
        std::string archive = saved.archive(rng.below(2) == 0 ? gzipped : zstd_packed);
        for (std::uint64_t i = 0, count = 1 + rng.below(4); i < count; ++i) {
            archive[rng.below(archive.size())] ^= static_cast<char>(1 + rng.below(255));
        }
        if (rng.below(3) == 0) archive.resize(rng.below(archive.size()));
        fs::remove_all(folder_.file("images"));
        const auto image = open(archive);
        for (const auto& entry : fs::directory_iterator(folder_.path())) {
            const std::string name = entry.path().filename().string();
            EXPECT_TRUE(name == "images" || name == "saved.tar") << name;
        }
        if (!image) return;
        for (const auto& entry : fs::recursive_directory_iterator((*image)->root)) {
            EXPECT_TRUE(entry.is_directory() || entry.is_regular_file()) << entry.path();
        }
    });
}

TEST_F(SavedImages, AnImportedOneIsFoundByItsNameAndDigest) {
    const std::string first = folder_.file("first.tar"), second = folder_.file("second.tar");
    test::write_text(first, TarText().file("a", "1").done());
    test::write_text(second, TarText().file("a", "2").done());
    const auto one = store_.import(first, "test:1");
    ASSERT_TRUE(one) << one.error().message;
    EXPECT_EQ(one->source, "test:1");
    fs::remove(first);
    ASSERT_TRUE(store_.open("test:1"));
    const auto by_digest = store_.open("sha256:" + one->digest.substr(0, 12));
    ASSERT_TRUE(by_digest) << by_digest.error().message;
    EXPECT_EQ(test::read_text((*by_digest)->root + "/a"), "1");
    EXPECT_EQ(store_.open("sha256:" + one->digest.substr(0, 6)).error().code, Code::not_found);
    EXPECT_EQ(store_.open("test:2").error().code, Code::not_found);
    ASSERT_TRUE(store_.import(second, "test:1"));  // the name moves on
    EXPECT_EQ(test::read_text((*store_.open("test:1"))->root + "/a"), "2");
    EXPECT_TRUE(store_.open("sha256:" + one->digest));
    EXPECT_EQ(store_.list().size(), 2u);
}

TEST_F(Images, TheManifestOfThisMachineIsTaken) {
    const LayoutFolder layout(folder_.file("layout"));
    const json::object other = layout.manifest({TarText().file("a", "s390x").done()}, {}, "s390x"),
                       ours = layout.manifest({TarText().file("a", "ours").done()});
    layout.index({other, ours});
    const auto image = store_.open(layout.folder());
    ASSERT_TRUE(image) << image.error().message;
    EXPECT_EQ(test::read_text((*image)->root + "/a"), "ours");
    // An index within the index, as builders make them.
    const json::object inner = layout.blob(
        base::to_text(json::object{{"schemaVersion", 2}, {"manifests", json::array{other, ours}}}),
        "application/vnd.oci.image.index.v1+json");
    layout.index({inner});
    EXPECT_TRUE(store_.open(layout.folder()));
    layout.index({other});
    EXPECT_EQ(store_.open(layout.folder()).error().code, Code::not_found);
}

TEST_F(Images, EveryBlobIsCheckedAgainstItsDigest) {
    const LayoutFolder layout(folder_.file("layout"));
    layout.image({TarText().file("a", "1").done()});
    ASSERT_TRUE(ImageStore(options()).open(layout.folder()));
    int tried = 0;
    for (const auto& blob : fs::directory_iterator(layout.folder() + "/blobs/sha256")) {
        ImageStoreOptions fresh{.folder = folder_.file(fmt::format("images{}", tried++))};
        const std::string text = test::read_text(blob.path().string());
        std::string changed = text;
        changed[text.size() / 2] = static_cast<char>(changed[text.size() / 2] ^ 1);
        for (const std::string& wrong : {changed, text + std::string(512, '\0')}) {
            test::write_text(blob.path().string(), wrong);
            const auto image = ImageStore(fresh).open(layout.folder());
            ASSERT_FALSE(image);
            EXPECT_EQ(image.error().code, Code::invalid_argument) << image.error().message;
            EXPECT_TRUE(ImageStore(fresh).list().empty());
        }
        fs::remove(blob.path());
        EXPECT_EQ(ImageStore(fresh).open(layout.folder()).error().code, Code::not_found);
        test::write_text(blob.path().string(), text);
        EXPECT_TRUE(ImageStore(fresh).open(layout.folder()));
    }
    EXPECT_EQ(tried, 3);
}

TEST_F(Images, S49NothingThatGivesPowerIsTakenOver) {
    const std::string pax = "33 SCHILY.xattr.user.x=value9012\n";
    const std::string layer = TarText()
                                  .file("suid", "x", 04755)
                                  .file("sgid", "x", 02755)
                                  .folder("shared", 03777)
                                  .add({.name = "attributes", .type = 'x'}, pax)
                                  .file("capable", "x", 0755)
                                  .add({.name = "null", .type = '3'})
                                  .add({.name = "disk", .type = '4'})
                                  .add({.name = "fifo", .type = '6'})
                                  .file("secret", "x", 0600)
                                  .file("run", "x", 0700)
                                  .done();
    const std::string root = unpack({layer});
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
        const std::uint32_t found = mode(entry.path().string());
        EXPECT_EQ(found & 06000u, 0u) << entry.path();
        EXPECT_EQ(found & 0022u, 0u) << entry.path();
        EXPECT_TRUE(S_ISREG(found) || S_ISDIR(found)) << entry.path();
    }
    EXPECT_FALSE(fs::exists(root + "/null"));
    EXPECT_EQ(store_.list().front().dropped, 3u);
    // A box's one user may read what the image's root may.
    EXPECT_EQ(mode(root + "/secret") & 0777u, 0644u);
    EXPECT_EQ(mode(root + "/run") & 0777u, 0755u);
}

TEST_F(Images, NamesAndLinksStayInTheImage) {
    const std::string outside = folder_.file("outside");
    fs::create_directory(outside);
    test::write_text(outside + "/file", "host");
    EXPECT_EQ(refusal({TarText().file("../escaped", "x").done()}), Code::invalid_argument);
    EXPECT_EQ(refusal({TarText().file("a/../../escaped", "x").done()}), Code::invalid_argument);
    EXPECT_EQ(refusal({TarText().file("/absolute", "x").done()}), Code::invalid_argument);
    EXPECT_EQ(refusal({TarText().link("a", "../../outside/file", '1').done()}),
              Code::invalid_argument);
    EXPECT_EQ(refusal({TarText().link("a", outside + "/file", '1').done()}),
              Code::invalid_argument);
    EXPECT_EQ(refusal({TarText().link("d", outside).link("a", "d/file", '1').done()}),
              Code::not_found);
    // Through links that name the host's folders everything lands in the image.
    const std::string root =
        unpack({TarText()
                    .folder(outside.substr(1))
                    .link("d", outside)
                    .link("up", "../../../../../../../..")
                    .done(),
                TarText().file("d/made", "x").file("up/top", "x").file("d/.wh.file", "").done()});
    EXPECT_EQ(test::read_text(outside + "/file"), "host");
    EXPECT_FALSE(fs::exists(outside + "/made"));
    EXPECT_EQ(test::read_text(root + "/top"), "x");
    EXPECT_EQ(test::read_text(root + outside + "/made"), "x");
}

TEST_F(Images, WhatASandboxMountsOnMustBeFolders) {
    for (const char* name : {"dev", "proc", "tmp", "workspace"}) {
        EXPECT_EQ(refusal({TarText().link(name, "etc").done()}), Code::invalid_argument) << name;
        EXPECT_EQ(refusal({TarText().file(name, "x").done()}), Code::invalid_argument) << name;
    }
}

TEST_F(Images, LimitsHoldBeforeWhatTheyBound) {
    const std::string some = TarText().file("a", std::string(4000, 'x')).file("b", "x").done();
    EXPECT_EQ(refusal({some}, {.bytes_max = 3000}), Code::payload_too_large);
    EXPECT_EQ(refusal({some, some}, {.bytes_max = 6000}), Code::payload_too_large);
    EXPECT_EQ(refusal({some}, {.entries_max = 1}), Code::payload_too_large);
    const std::string bomb = gzipped(TarText().file("a", std::string(8 << 20, '\0')).done());
    EXPECT_EQ(refusal({bomb}, {.ratio_max = 100}), Code::payload_too_large);
    // Nothing of a refused one is left.
    for (const auto& entry : fs::directory_iterator(folder_.file("images"))) {
        ADD_FAILURE() << entry.path();
    }
}

TEST_F(Images, WhatAKilledUnpackLeftGoesWithTheNext) {
    const std::string images = folder_.file("images");
    fs::create_directories(images + "/.unpack-dead/root/deep");
    fs::create_directories(images + "/.unpack-living/root");
    const base::UniqueFd living(::open((images + "/.unpack-living").c_str(), O_RDONLY));
    ASSERT_EQ(::flock(living.get(), LOCK_EX), 0);
    unpack({TarText().file("a", "1").done()});
    EXPECT_FALSE(fs::exists(images + "/.unpack-dead"));
    EXPECT_TRUE(fs::exists(images + "/.unpack-living"));
    EXPECT_EQ(store_.list().size(), 1u);
}

TEST_F(Images, TheOnesUsedLongestAgoMakeRoom) {
    ImageStoreOptions small = options();
    small.bytes_max = 25'000;
    ImageStore store(small);
    std::vector<std::string> digests;
    std::vector<ImagePtr> held;
    for (int i = 0; i < 4; ++i) {
        const std::string path = folder_.file(fmt::format("{}.tar", i));
        test::write_text(path, TarText().file("a", std::string(10'000, 'a' + char(i))).done());
        auto image = store.open(path);
        ASSERT_TRUE(image) << image.error().message;
        digests.push_back((*image)->digest);
        if (i == 0) held.push_back(*image);  // in use: stays, though it is the oldest
        const timespec past[2] = {{1'000 + i, 0}, {1'000 + i, 0}};
        ::utimensat(AT_FDCWD, (small.folder + "/sha256-" + digests.back() + "/image.json").c_str(),
                    past, 0);
    }
    const auto has = [&](std::size_t i) {
        return fs::exists(small.folder + "/sha256-" + digests[i] + "/root/a");
    };
    EXPECT_TRUE(has(0));
    EXPECT_FALSE(has(1));
    EXPECT_FALSE(has(2));
    EXPECT_TRUE(has(3));
    EXPECT_EQ(store.remove(digests[0]).error().code, Code::failed_precondition);
    held.clear();
    EXPECT_TRUE(store.remove(digests[0]));
    EXPECT_EQ(store.remove(digests[0]).error().code, Code::not_found);
}

/// Random layers against a model: a map of names to contents, folders have none.
TEST_F(Images, RandomLayersGiveWhatTheModelGives) {
    test::for_each_seed(25, [&](base::Rng& rng) {
        using Tree = std::map<std::string, std::optional<std::string>>;
        const auto erase = [](Tree& tree, const std::string& name, bool itself) {
            std::erase_if(tree, [&](const auto& entry) {
                return entry.first.starts_with(name + "/") || (itself && entry.first == name);
            });
        };
        Tree model;
        std::vector<std::string> layers;
        for (int layer = 0; layer < 4; ++layer) {
            TarText tar;
            Tree made;
            const Tree lower = model;
            for (int i = 0; i < 6; ++i) {
                // Names of three levels; what is in the way as a file becomes a folder.
                std::string name;
                const std::uint64_t depth = 1 + rng.below(3);
                std::vector<std::string> above;
                for (std::uint64_t level = 0; level < depth; ++level) {
                    if (level > 0) above.push_back(name);
                    name += (level == 0 ? "" : "/") + std::string(1, char('a' + rng.below(3)));
                }
                const bool clash = std::ranges::any_of(above, [&](const std::string& each) {
                    const auto at = model.find(each);
                    return at != model.end() && at->second.has_value();
                });
                if (clash) continue;
                const std::uint64_t what = rng.below(4);
                if (what == 0 && lower.contains(name) && !made.contains(name)) {
                    const std::size_t slash = name.rfind('/') + 1;
                    const bool rebuilt = std::ranges::any_of(
                        made, [&](const auto& e) { return e.first.starts_with(name + "/"); });
                    if (rebuilt) continue;
                    tar.file(name.substr(0, slash) + ".wh." + name.substr(slash), "");
                    erase(model, name, true);
                    continue;
                }
                for (const std::string& each : above) model.emplace(each, std::nullopt);
                if (what == 1) {
                    tar.folder(name);
                    const auto at = model.find(name);
                    if (at == model.end() || at->second) model[name] = std::nullopt;
                    made[name] = std::nullopt;
                } else {
                    const std::string content = fmt::format("{}-{}", layer, i);
                    tar.file(name, content);
                    erase(model, name, true);
                    model[name] = content;
                    made[name] = content;
                }
            }
            layers.push_back(rng.below(2) == 0 ? gzipped(tar.done()) : tar.done());
        }
        const std::string root = unpack(layers);
        Tree found;
        for (const auto& entry : fs::recursive_directory_iterator(root)) {
            const std::string name = fs::relative(entry.path(), root).string();
            found[name] = entry.is_directory()
                              ? std::nullopt
                              : std::optional(test::read_text(entry.path().string()));
        }
        for (const char* name : {"dev", "proc", "tmp", "workspace"}) found.erase(name);
        EXPECT_EQ(found, model);
    });
}

/// Bytes turned over anywhere: an error or a tree, and nothing beside the store.
TEST_F(Images, DamagedLayersHarmNothing) {
    const std::string sound = TarText()
                                  .folder("d")
                                  .file("d/a", std::string(700, 'x'))
                                  .link("l", "d")
                                  .link("h", "d/a", '1')
                                  .file(std::string(150, 'n'), "long name")
                                  .file("d/.wh.b", "")
                                  .done();
    test::for_each_seed(300, [&](base::Rng& rng) {
        std::string damaged = sound;
        for (std::uint64_t i = 0; i <= rng.below(6); ++i) {
            damaged[rng.below(damaged.size())] = static_cast<char>(rng.below(256));
        }
        // Checksums that fit, so that more than the first check is met.
        for (std::size_t at = 0; at + 512 <= damaged.size(); at += 512) {
            if (rng.below(2) == 0 || damaged[at] == '\0') continue;
            std::uint64_t sum = 0;
            for (std::size_t i = 0; i < 512; ++i) {
                const bool field = i >= 148 && i < 156;
                sum += field ? ' ' : static_cast<unsigned char>(damaged[at + i]);
            }
            damaged.replace(at + 148, 8, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
        }
        test::TempDir own;
        const LayerFile layer{own.file("layer"), base::sha256_hex(damaged), damaged.size()};
        test::write_text(layer.path, damaged);
        fs::create_directory(own.file("root"));
        const base::UniqueFd root(
            ::open(own.file("root").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        UnpackedSize size;
        static_cast<void>(unpack_layer(layer, root.get(), false,
                                       {.bytes_max = 1 << 20, .entries_max = 100}, size));
        EXPECT_EQ(own.entries(), 2u);
        EXPECT_LE(size.bytes, 1u << 20);
    });
}

}  // namespace
}  // namespace sphere::images
