import json
import unittest

from program import ProgramTest


class Config(ProgramTest):
    def config(self, *arguments, env=None):
        done = self.run_program("config", "--json", *arguments, env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_precedence_is_flag_environment_file_default(self):
        path = self.write("c.yaml", "server:\n  port: 1111\nengine:\n  threads: 3\n")
        shown = self.config("--config", path, "--engine.running_max", "5",
                            env={"DOUGONG_SERVER_PORT": "2222"})
        self.assertEqual(shown["config"]["server"]["port"], 2222)
        self.assertEqual(shown["origins"]["server.port"], "DOUGONG_SERVER_PORT")
        self.assertEqual(shown["config"]["engine"]["threads"], 3)
        self.assertEqual(shown["origins"]["engine.threads"], f"{path}:4")
        self.assertEqual(shown["config"]["engine"]["running_max"], 5)
        self.assertEqual(shown["origins"]["engine.running_max"], "--engine.running_max")
        self.assertEqual(shown["origins"]["server.host"], "default")
        shown = self.config("--config", path, "-p", "3333", env={"DOUGONG_SERVER_PORT": "2222"})
        self.assertEqual(shown["config"]["server"]["port"], 3333)

    def test_the_users_file_is_found_and_the_working_folders_is_not(self):
        self.write("dougong.yaml", "server:\n  port: 1\n")
        self.assertIsNone(self.config()["file"])
        path = self.write(".config/dougong/dougong.yaml", "server:\n  port: 4444\n")
        self.assertEqual(self.config()["file"], path)

    def test_printed_configuration_can_be_used_again(self):
        first = self.run_program("config", "--server.port", "4242", "--limits.body_bytes_max", "3MiB")
        path = self.write("again.yaml", first.stdout)
        shown = self.config("--config", path)
        self.assertEqual(shown["config"]["server"]["port"], 4242)
        self.assertEqual(shown["config"]["limits"]["body_bytes_max"], 3 << 20)

    def test_the_template_is_valid_and_changes_nothing(self):
        path = self.write("t.yaml", self.run_program("config", "--template").stdout)
        self.assertEqual(self.config("--config", path)["config"], self.config()["config"])

    def test_the_schema_describes_every_field_that_is_printed(self):
        schema = json.loads(self.run_program("config", "--schema").stdout)
        shown = self.config()["config"]
        fields = {(field["section"], field["name"]) for field in schema}
        printed = {(section, name) for section, values in shown.items() for name in values}
        self.assertEqual(fields, printed)

    def test_mistakes_name_their_place(self):
        for text, place, guess in (("server:\n  prot: 1\n", ":2", "'port'"),
                                   ("\nsevrer:\n  port: 1\n", ":2", "'server'"),
                                   ("server:\n  port: many\n", ":2", "server.port")):
            path = self.write("bad.yaml", text)
            done = self.run_program("config", "--config", path)
            self.assertEqual(done.returncode, 64)
            self.assertIn(path + place, done.stderr)
            self.assertIn(guess, done.stderr)
        done = self.run_program("config", env={"DOUGONG_SERVER_PORT": "70000"})
        self.assertEqual(done.returncode, 64)
        self.assertIn("DOUGONG_SERVER_PORT", done.stderr)
        done = self.run_program("config", "--config", "/nowhere.yaml")
        self.assertEqual(done.returncode, 66)
        self.assertIn("/nowhere.yaml", done.stderr)

    def test_secrets_are_hidden(self):
        done = self.run_program("config", env={"DOUGONG_MODELS_HUB_TOKEN": "hunter2"})
        self.assertNotIn("hunter2", done.stdout)
        self.assertIn("***", done.stdout)


if __name__ == "__main__":
    unittest.main()
