"""What goes wrong in a long run: it is named, what is finished stays, the run goes on."""

import errno
import gc
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from PIL import Image

from segaware_mm.engine.test import main as run_test
from segaware_mm.submission import archive, job
from segaware_mm.submission import target as target_module
from segaware_mm.submission.cli import main
from segaware_mm.submission.metric import SubmissionMetric
from segaware_mm.submission.problem import Problem, SubmissionError
from segaware_mm.submission.targets import TARGETS

TARGET = 'cityscapes-pixel'


@pytest.fixture(scope='module')
def case(trained_case):
    return trained_case(TARGET)


@pytest.fixture(scope='module')
def wanted(case, tmp_path_factory):
    """The archive of a run that nothing stopped."""
    out = tmp_path_factory.mktemp('wanted') / 'o.zip'
    assert main([TARGET, str(case.config), str(case.checkpoint), '--out', str(out)]) == 0
    return out.read_bytes()


@pytest.fixture
def run(case, tmp_path, capfd):
    """Submit; returns (exit code, what was printed)."""

    def call(*args, target=TARGET, config=None, checkpoint=None, images=None):
        given = ['--images', str(images)] if images else []
        capfd.readouterr()
        code = main([target, str(config or case.config),
                     str(checkpoint or case.checkpoint), '--out',
                     str(tmp_path / 'o.zip'), *given, *map(str, args)])
        out, err = capfd.readouterr()
        return code, out + err

    return call


def files(tmp_path):
    """{name: time} of the finished images; nothing else lies there."""
    tree = tmp_path / 'o.zip.work' / 'files'
    return {path.name: path.stat().st_mtime_ns for path in tree.rglob('*')}


def fails(result, tmp_path, *parts):
    """One message, and no archive or half of one."""
    code, text = result
    assert code == 2, text
    assert text.count('error: ') == 1 and 'Traceback' not in text, text
    for part in parts:
        assert part in text, f'{part} is not in:\n{text}'
    left = [path.name for path in tmp_path.iterdir() if path.name.endswith('.part')]
    assert not (tmp_path / 'o.zip').exists() and not left


def goes_on(run, tmp_path, before, wanted, **kwargs):
    """The same command makes the archive, and leaves finished images alone."""
    code, text = run(**kwargs)
    assert code == 0, text
    assert f'4 images, finished before: {len(before)}' in text
    after = files(tmp_path)
    assert len(after) == 4 and before.items() <= after.items()
    assert (tmp_path / 'o.zip').read_bytes() == wanted


def test_checkpoint_of_another_model(run, case, tmp_path, wanted):
    content = torch.load(case.checkpoint, weights_only=False)
    weights = {key: value for key, value in content['state_dict'].items()
               if 'layer2' not in key}
    weights['decode_head.conv_seg.weight'] = torch.zeros(7, 16, 1, 1)
    torch.save(dict(content, state_dict=weights), tmp_path / 'other.pth')
    fails(run(checkpoint=tmp_path / 'other.pth'), tmp_path,
          'belongs to another model or config', 'decode_head.conv_seg.weight',
          'Stopped at image 1 of 4; finished and kept: 0')
    assert files(tmp_path) == {}
    goes_on(run, tmp_path, {}, wanted)


@pytest.mark.parametrize('workers', [0, 1])
def test_truncated_image_is_named_and_the_run_goes_on(run, case, tmp_path, wanted,
                                                      workers):
    images = shutil.copytree(case.images, tmp_path / 'images')
    third = sorted(images.rglob('*.png'))[2]
    whole = third.read_bytes()
    third.write_bytes(whole[:len(whole) // 2])
    fails(run('--cfg-options', f'test_dataloader.num_workers={workers}', images=images),
          tmp_path, str(third), 'is cut short (truncated)',
          'Stopped at image 3 of 4; finished and kept: 2. The same command goes on')
    before = files(tmp_path)
    assert len(before) == 2
    third.write_bytes(whole)
    goes_on(run, tmp_path, before, wanted, images=images)


def test_an_image_without_header_is_named_before_the_model_is_built(
        run, case, tmp_path, monkeypatch):
    images = shutil.copytree(case.images, tmp_path / 'images')
    third = sorted(images.rglob('*.png'))[2]
    third.write_bytes(b'')
    monkeypatch.setattr(job, 'predict', None)
    fails(run(images=images), tmp_path, f'the image {third} cannot be read')


def full_disk(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def at_call(number, function, instead):
    """``function``, but ``instead`` of it from a call on."""
    count = []

    def call(*args, **kwargs):
        count.append(0)
        return (instead if len(count) >= number else function)(*args, **kwargs)

    return call


def test_full_disk_while_an_image_is_written(run, tmp_path, monkeypatch, wanted):
    with monkeypatch.context() as patch:
        patch.setattr(target_module, 'write_atomic',
                      at_call(3, target_module.write_atomic, full_disk))
        fails(run(), tmp_path, 'No space left on device (free some space)',
              'stopped at the image scenesval_000002_000000',
              'Stopped at image 3 of 4; finished and kept: 2')
    before = files(tmp_path)
    assert len(before) == 2
    goes_on(run, tmp_path, before, wanted)


def test_full_disk_while_the_archive_is_written(run, tmp_path, monkeypatch, wanted):
    with monkeypatch.context() as patch:
        patch.setattr(archive.shutil, 'copyfileobj',
                      at_call(2, shutil.copyfileobj, full_disk))
        fails(run(), tmp_path, 'No space left on device (free some space)',
              'stopped at scenesval_000001_000000.png (file 2 of 4)',
              'Finished images: 4, all; the same command packs them again.')
    before = files(tmp_path)
    monkeypatch.setattr(job, 'predict', None)  # the model is not needed any more
    goes_on(run, tmp_path, before, wanted)


def test_full_disk_before_the_first_image(run, tmp_path, monkeypatch):
    from segaware_mm.submission import work_folder
    monkeypatch.setattr(work_folder, 'write_atomic', full_disk)
    fails(run(), tmp_path, 'o.zip.work cannot be written: No space left on device',
          'or name another folder with --work-dir')


KILLED = """
    import os, signal, sys
    from segaware_mm.submission import archive, target
    from segaware_mm.submission.cli import main
    from segaware_mm.utils import files

    def dies(*args):
        os.kill(os.getpid(), signal.SIGKILL)

    def half(path, content, count=[]):
        count.append(0)
        if len(count) == 3:
            files.part_of(path).write_bytes(content[:20])
            dies()
        files.write_atomic(path, content)

    if {packing}:
        archive.os = type('os', (), dict(vars(os), replace=dies))
    else:
        target.write_atomic = half
    main(sys.argv[1:])
"""


@pytest.mark.parametrize('packing', [False, True])
def test_killed_run_goes_on(run, case, tmp_path, wanted, repo, packing):
    program = textwrap.dedent(KILLED.format(packing=packing))
    paths = os.pathsep.join([str(repo), os.environ.get('PYTHONPATH', '')])
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', program, TARGET, str(case.config),
         str(case.checkpoint), '--out', str(tmp_path / 'o.zip')],
        env=dict(os.environ, PYTHONPATH=paths), capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (tmp_path / 'o.zip').exists()
    before = {name: time for name, time in files(tmp_path).items()
              if name.endswith('.png')}
    left = list(tmp_path.rglob('.*.part'))
    assert len(before) == (4 if packing else 2) and len(left) == 1
    goes_on(run, tmp_path, before, wanted)
    assert not list(tmp_path.rglob('.*.part'))


def test_interrupted_run_says_where(run, tmp_path, monkeypatch, wanted):
    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(target_module, 'write_atomic',
                      at_call(2, target_module.write_atomic, interrupted))
        code, text = run()
    assert code == 130
    assert 'interrupted; Stopped at image 2 of 4; finished and kept: 1' in text
    goes_on(run, tmp_path, files(tmp_path), wanted)


def test_images_of_another_model_are_not_mixed_in(run, case, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(target_module, 'write_atomic',
                      at_call(3, target_module.write_atomic, full_disk))
        assert run()[0] == 2
    before = files(tmp_path)
    content = torch.load(case.checkpoint, weights_only=False)
    torch.save(content['state_dict'], tmp_path / 'other.pth')
    told = ['o.zip.work has images of another run: another ',
            f'It was begun with {case.config} and {case.checkpoint} for {TARGET}.',
            'or give another folder (--work-dir), or delete this one.']
    fails(run(checkpoint=tmp_path / 'other.pth'), tmp_path, *told, 'another checkpoint.')
    slide = ['--cfg-options', 'model.test_cfg.mode=slide',
             'model.test_cfg.crop_size=(32,32)', 'model.test_cfg.stride=(32,32)']
    fails(run(*slide), tmp_path, *told,
          'another settings of the model or of its test.')
    # The same model under another name is the same model.
    shutil.copy(case.checkpoint, tmp_path / 'copy.pth')
    assert run(checkpoint=tmp_path / 'copy.pth')[0] == 0
    assert before.items() <= files(tmp_path).items()


@pytest.mark.parametrize('content', [None, 'nonsense'])
def test_a_folder_without_its_record_is_refused(run, tmp_path, content):
    stray = tmp_path / 'o.zip.work' / 'files' / 'scenesval_000000_000000.png'
    stray.parent.mkdir(parents=True)
    stray.touch()
    if content:
        (tmp_path / 'o.zip.work' / 'run.json').write_text(content)
    fails(run(), tmp_path, 'run.json cannot be read' if content else
          'has files, and no run.json beside it says of which model')


def test_wrong_names_end_before_the_prediction(run, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(job, 'predict', None)
    assert 'is an address: download the file' in run(checkpoint='https://a.b/c.pth')[1]
    assert 'c.pth does not exist' in run(checkpoint='~/c.pth')[1]
    assert run('--out', tmp_path / 'o.tgz')[1].count('does not end in .zip') == 1
    assert 'the folder of test images' in run(images=tmp_path / 'absent')[1]
    with pytest.raises(SystemExit, match='2'):
        main(['cityscapes', 'a.py', 'b.pth', '--out', 'c.zip'])
    assert 'cityscapes-pixel' in capfd.readouterr().err


def test_classes_of_the_checkpoint_must_be_those_of_the_config(run, tmp_path, case):
    swapped = list(torch.load(case.checkpoint, weights_only=False)['meta'][
        'dataset_meta']['classes'])
    swapped[3:5] = swapped[4:2:-1]
    fails(run('--cfg-options', f'test_dataloader.dataset.metainfo.classes={swapped}'),
          tmp_path, "class 3 is 'wall' there and 'fence' here",
          'Set test_dataloader.dataset.metainfo.classes to the classes of the training')


def test_a_segmentor_gives_no_instances(run, tmp_path):
    fails(run(target='cityscapes-instance'), tmp_path,
          'cityscapes-instance wants a detector of mmdet with masks; the model of the '
          'config, EncoderDecoder, is none.')
    assert not (tmp_path / 'o.zip.work').exists()


def test_joined_boxes_give_no_masks(run, repo, tmp_path):
    config = repo / 'configs/mnc/mnc_r18_fpn_1xb4-300i_scenes-128x160.py'
    fails(run('--tta', target='cityscapes-instance', config=config), tmp_path,
          "--tta: cityscapes-instance takes masks, and mmdet's DetTTAModel joins")
    assert not (tmp_path / 'o.zip.work').exists()


def test_classes_that_the_server_does_not_know(run, case, tmp_path):
    content = torch.load(case.checkpoint, weights_only=False)
    names = ['lane', *content['meta']['dataset_meta']['classes'][1:]]
    content['meta']['dataset_meta']['classes'] = names
    torch.save(content, tmp_path / 'other.pth')
    # Blanks in names are lost in --cfg-options.
    config = tmp_path / 'other.py'
    config.write_text(f'_base_ = [{str(case.config)!r}]\ntest_dataloader = dict(dataset='
                      f'dict(metainfo=dict(classes={names!r})))\n')
    fails(run(config=config, checkpoint=tmp_path / 'other.pth', images=case.images),
          tmp_path,
          "Cityscapes does not know 1 of the 19 classes of the model: 'lane'")
    assert not (tmp_path / 'o.zip.work').exists()


HOLD = """
    import sys
    from segaware_mm.submission.work_folder import WorkFolder
    with WorkFolder(sys.argv[1]).hold():
        print('held', flush=True)
        sys.stdin.read()
"""


def test_two_runs_do_not_share_a_folder(run, tmp_path, wanted):
    pytest.importorskip('fcntl')
    with subprocess.Popen(
            [sys.executable, '-c', textwrap.dedent(HOLD), str(tmp_path / 'o.zip.work')],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        # The forks print too.
        assert b'held\n' in iter(other.stdout.readline, b'')
        fails(run(), tmp_path, 'another process works in', 'o.zip.work. Wait for it, or '
              'give another folder (--work-dir).')
        other.kill()
    goes_on(run, tmp_path, {}, wanted)


def test_labels_are_not_needed(run, case, tmp_path, wanted):
    root = tmp_path / 'data'
    shutil.copytree(case.root / 'leftImg8bit', root / 'leftImg8bit')
    code, text = run('--cfg-options', f'test_dataloader.dataset.data_root={root}')
    assert code == 0, text
    assert (tmp_path / 'o.zip').read_bytes() == wanted
    shutil.rmtree(root / 'leftImg8bit')
    shutil.rmtree(tmp_path / 'o.zip.work')
    (tmp_path / 'o.zip').unlink()
    fails(run('--cfg-options', f'test_dataloader.dataset.data_root={root}'), tmp_path,
          'the dataset is not there', 'test_dataloader.dataset.data_prefix.img_path')


def test_archives_with_problems_are_not_passed_over(run, tmp_path, monkeypatch):
    problem = Problem('a.png', 'is wrong', 'mend it')
    broken = TARGETS[TARGET]._replace(validate=lambda *args: [problem] * 25)
    monkeypatch.setitem(TARGETS, TARGET, broken)
    code, text = run()
    assert code == 2
    assert f'{tmp_path / "o.zip"} has 25 problems:\n  a.png: is wrong; mend it' in text
    assert '... and 5 more' in text
    assert f'lie in {tmp_path / "o.zip.work" / "files"}: delete the files of' in text
    assert not (tmp_path / 'o.zip').exists()


def test_an_archive_with_problems_leaves_an_earlier_one(run, tmp_path, monkeypatch,
                                                        wanted):
    assert run()[0] == 0
    before = files(tmp_path)
    damaged = next((tmp_path / 'o.zip.work' / 'files').iterdir())
    whole = damaged.read_bytes()
    content = bytearray(whole)
    content[len(whole) // 2] ^= 1
    damaged.write_bytes(content)
    code, text = run()
    assert code == 2 and f'{damaged.name}: cannot be decoded' in text
    assert (tmp_path / 'o.zip').read_bytes() == wanted
    damaged.unlink()
    del before[damaged.name]
    goes_on(run, tmp_path, before, wanted)


def test_images_that_changed_are_predicted_again(run, case, tmp_path, wanted):
    images = shutil.copytree(case.images, tmp_path / 'images')
    third = sorted(images.rglob('*.png'))[2]
    assert run(images=images)[0] == 0
    before = files(tmp_path)
    with Image.open(third) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(third)
    code, text = run(images=images)
    assert code == 0 and '4 images, finished before: 3' in text
    after = files(tmp_path)
    changed = [name for name in before if after[name] != before[name]]
    assert changed == ['scenesval_000002_000000.png']
    assert (tmp_path / 'o.zip').read_bytes() != wanted
    # A copy of the same images is the same test set.
    moved = shutil.copytree(images, tmp_path / 'moved')
    assert 'finished before: 4' in run(images=moved)[1]


def test_another_precision_is_another_run(run, tmp_path):
    assert run()[0] == 0
    code, text = run('--cfg-options', 'test_cfg.fp16=True')
    assert code == 2 and 'another settings of the model or of its test.' in text


def test_a_folder_of_the_name_is_told_before_the_prediction(run, tmp_path, monkeypatch):
    monkeypatch.setattr(job, 'predict', None)
    (tmp_path / 'o.zip').mkdir()
    code, text = run()
    assert code == 2 and 'o.zip is a folder' in text


def test_the_metric_wants_all_images_of_the_test_set(case, tmp_path):
    """Files of an earlier test, of another model maybe, are none of this one."""
    metric = SubmissionMetric(TARGET, str(tmp_path / 'p.zip'), images=str(case.images))
    metric.dataset_meta = dict(classes=['road'])
    paths = sorted(Path(case.images).rglob('*.png'))

    def test(paths):
        for path in paths:
            with Image.open(path) as image:
                size = image.size[::-1]
            metric.process({}, [dict(img_path=str(path), pred_sem_seg=dict(
                data=torch.zeros(1, *size, dtype=torch.int64)))])
        return metric.evaluate(len(paths))

    assert test(paths) == {'submission/images': 4}
    with pytest.raises(SubmissionError, match='1 of 4 images of the test set were not '
                       'tested, the first is scenesval_000003_000000'):
        test(paths[:3])


def test_validate_lists_problems_and_tells_by_its_exit_code(run, case, tmp_path, capfd):
    assert run()[0] == 0
    out, call = str(tmp_path / 'o.zip'), ['--target', TARGET]
    assert main(['validate', out, *call, '--images', str(case.images)]) == 0
    assert capfd.readouterr().out == f'{out}: no problem found\n'
    assert main(['validate', out, *call]) == 1
    text = capfd.readouterr()
    assert 'o.zip: has 0 label images, the test set of Cityscapes has 1525' in text.out
    assert text.out.count('\n') == 5 and text.err == f'{out}: 5 problems\n'
    assert main(['validate', out, *call, '--images', str(tmp_path / 'absent')]) == 2
    assert 'does not exist' in capfd.readouterr().err


TTA = """
_base_ = [{base!r}]
tta_model = dict(type='SegTTAModel')
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='TestTimeAug', transforms=[
        [dict(type='Resize', scale_factor=r, keep_ratio=True) for r in (.75, 1.)],
        [dict(type='RandomFlip', prob=p, direction='horizontal') for p in (0., 1.)],
        [dict(type='LoadAnnotations')],
        [dict(type='PackSegInputs')]])]
test_evaluator = [dict(type='SubmissionMetric', target={target!r}, out={out!r})]
"""
SLIDE = ['--cfg-options', 'model.test_cfg.mode=slide', 'model.test_cfg.crop_size=(32,32)',
         'model.test_cfg.stride=(24,24)']


@pytest.mark.parametrize('options', [[], SLIDE])
def test_test_time_augmentation_is_that_of_the_test_tool(run, case, tmp_path, wanted,
                                                         options):
    config, theirs = tmp_path / f'tta{len(options)}.py', tmp_path / 'theirs.zip'
    config.write_text(TTA.format(base=str(case.config), target=TARGET, out=str(theirs)))
    code, text = run('--tta', *options, config=config)
    assert code == 0, text
    ours = (tmp_path / 'o.zip').read_bytes()
    assert ours != wanted
    assert run_test([str(config), str(case.checkpoint), '--tta', '--work-dir',
                     str(tmp_path / 'tested'), *options]) == 0
    assert theirs.read_bytes() == ours
    fails_without = run('--tta', '--work-dir', tmp_path / 'other')
    assert fails_without[0] == 2 and '--tta needs tta_model and' in fails_without[1]


def test_the_metric_deletes_nothing_and_leaves_runs_alone(run, case, tmp_path):
    assert run()[0] == 0
    own = str(tmp_path / 'o.zip.work')
    with pytest.raises(SubmissionError, match='has the images of a run of tools/submit'):
        SubmissionMetric(TARGET, str(tmp_path / 'p.zip'), work_dir=own)
    metric = SubmissionMetric(TARGET, str(tmp_path / 'o.zip'), work_dir=own, claimed=True)
    before = files(tmp_path)
    del metric
    gc.collect()
    assert files(tmp_path) == before and len(before) == 4
    with pytest.raises(SubmissionError, match='does not end in .zip'):
        SubmissionMetric(TARGET, 'p.tgz')
    with pytest.raises(SubmissionError, match='Did you mean'):
        SubmissionMetric('cityscapes-pixels', 'p.zip')


@pytest.mark.parametrize('sample, told', [
    ({}, 'samples have no img_path: add it'),
    (dict(img_path='x.png'), 'x.png is no image of this test set'),
])
def test_the_metric_names_samples_that_it_cannot_use(tmp_path, sample, told):
    metric = SubmissionMetric(TARGET, str(tmp_path / 'p.zip'))
    metric.dataset_meta = dict(classes=['road'])
    with pytest.raises(SubmissionError, match=told):
        metric.process({}, [sample])


def test_boxes_without_masks_are_named(case, tmp_path):
    metric = SubmissionMetric('cityscapes-instance', str(tmp_path / 'p.zip'))
    metric.dataset_meta = dict(classes=['car'])
    path = str(next(Path(case.images).rglob('*.png')))
    with pytest.raises(SubmissionError, match="boxes without masks .* mmdet's test time "
                                              'augmentation joins boxes alone'):
        metric.process({}, [dict(img_path=path, pred_instances=dict(scores=[]))])


@pytest.mark.slow
def test_two_processes_write_the_same_archive(case, tmp_path, wanted, run_command):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    cfg = Config.fromfile(str(case.config))
    cfg.test_evaluator = dict(type='SubmissionMetric', target=TARGET,
                              out=str(tmp_path / 'o.zip'))
    # Three images for two processes: one is predicted twice.
    cfg.test_dataloader.dataset.indices = 3
    cfg.dump(str(tmp_path / 'two.py'))
    done = run_command('tools/dist_test.sh', tmp_path / 'two.py', case.checkpoint, 2,
                       '--work-dir', tmp_path / 'tested', PORT=port)
    assert done.returncode == 0, done.stderr
    from segaware_mm.submission.archive import open_archive
    (tmp_path / 'wanted.zip').write_bytes(wanted)
    with open_archive(tmp_path / 'o.zip') as got, \
            open_archive(tmp_path / 'wanted.zip') as all_of:
        assert got.names == all_of.names[:3]
        assert all(got.read(name) == all_of.read(name) for name in got.names)
